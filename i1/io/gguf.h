// GGUF files, as ggml and those around it keep weights: "GGUF", a version, metadata of typed keys,
// a list of tensors (name, sizes with the fastest first, type, offset), and from the next multiple
// of the alignment on their values, each at such a multiple. Little-endian. Layout: docs/gguf.md of
// ggml.
#pragma once

#include <nlohmann/json.hpp>

#include "i1/io/stored_tensor.h"

namespace i1 {

struct GgufFile {
  StoredTensors tensors;  ///< blocks (Q8_0, Q4_0) are read as float32
  nlohmann::json values;  ///< the metadata by key; of arrays above 1000 values only their number
};

/// Versions 2 and 3. Throws UserError (file, tensor or key, found, expected) where the header is
/// damaged, of another version or big-endian, counts or sizes do not fit the file, offsets leave it
/// or overlap, a text is not UTF-8, or a tensor's type is not read.
GgufFile parse_gguf(const FileBytes& file);

bool looks_like_gguf(std::span<const std::byte> bytes);

/// Writes version 3, atomically, tensors in key order, each read when its turn comes: those with an
/// encoding as blocks of it, float32, float16 and bfloat16 as they are. Metadata in the given
/// order: whole numbers as UINT32, other numbers as FLOAT32, true and false, texts. Throws
/// UserError for what the format cannot hold: names above 63 bytes, more than 4 dimensions, other
/// types.
void write_gguf(const std::filesystem::path& path, const StoredTensors& tensors,
                const nlohmann::ordered_json& metadata, const TensorWritten& written = nullptr);

/// Whether rows of these tensors can be blocks: the last size is a multiple of 32.
bool fits_blocks(const std::vector<int64_t>& shape);

/// `tensor` as blocks of an encoding ("Q8_0"), to be written.
StoredTensor as_blocks(const StoredTensor& tensor, const std::string& encoding);

}  // namespace i1
