// The safetensors format: 8 bytes of header length, a JSON header {name: {dtype, shape,
// data_offsets}, "__metadata__": {string: string}}, then the tensors' bytes, little-endian,
// contiguous.
#pragma once

#include "i1/io/stored_tensor.h"

namespace i1 {

struct SafetensorsFile {
  TensorMap tensors;  ///< views of the mapped file, which lives as long as any of them; do not
                      ///< write to them
  Metadata metadata;
};

/// Maps a file; no value is read until it is used. Throws UserError (file, tensor, found, expected)
/// where the header is damaged, offsets leave the file, overlap or leave gaps, or a dtype is
/// unknown.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

struct StoredSafetensors {
  StoredTensors tensors;
  Metadata metadata;
};

/// The same without reading a value. Throws as `read_safetensors` does.
StoredSafetensors parse_safetensors(const FileBytes& file);

/// Writes `tensors` in key order, atomically, each read when its turn comes and then dropped.
void write_safetensors(const std::filesystem::path& path, const StoredTensors& tensors,
                       const Metadata& metadata = {}, const TensorWritten& written = nullptr);
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata = {});

/// Writes `stem`.safetensors or, where that would be larger than `max_shard_bytes`, shards
/// `stem`-00001-of-0000N.safetensors and last `stem`.safetensors.index.json, which says in which
/// shard each tensor lies. No shard but one of a single tensor is larger than the limit. Files that
/// an earlier writing left under `stem` are removed.
void write_sharded_safetensors(const std::filesystem::path& folder, const std::string& stem,
                               const StoredTensors& tensors, int64_t max_shard_bytes,
                               const Metadata& metadata = {},
                               const TensorWritten& written = nullptr);
void write_sharded_safetensors(const std::filesystem::path& folder, const std::string& stem,
                               const TensorMap& tensors, int64_t max_shard_bytes,
                               const Metadata& metadata = {});

}  // namespace i1
