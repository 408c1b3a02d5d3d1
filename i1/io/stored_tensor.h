// Tensors that lie in a file: known by name, type and shape, read when asked for. What every reader
// of weights gives back.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace i1 {

using TensorMap = std::map<std::string, at::Tensor>;
using Metadata = std::map<std::string, std::string>;

/// What a file holds, without its values.
struct TensorInfo {
  at::ScalarType dtype;
  std::vector<int64_t> shape;
};

struct StoredTensor {
  TensorInfo info;
  /// The values. Where the file holds them as they are (aligned, not compressed) a view of the
  /// mapped file, which lives as long as the tensor and must not be written to; else a copy.
  std::function<at::Tensor()> read;
  /// How a file holds values that no dtype describes ("Q8_0"), and in how many bytes; `read`
  /// decodes them to `info.dtype`. Empty = as they are.
  std::string encoding = {};
  uint64_t encoded_bytes = 0;
};

using StoredTensors = std::map<std::string, StoredTensor>;

/// Told after each tensor that is written how many bytes of it.
using TensorWritten = std::function<void(uint64_t num_bytes)>;

/// Tensors in memory as if a file held them: `read` gives each contiguous and on the CPU.
StoredTensors as_stored(const TensorMap& tensors);
TensorMap read_all(const StoredTensors& tensors);

/// Tensors of the same shapes and types without memory (meta device), to check before reading.
/// Throws UserError, opened by `where`, for one that is not of floating-point numbers.
TensorMap shapes_of(const StoredTensors& tensors, const std::string& where);

/// Which tensors are asked for, by name; empty = all.
using WantsTensor = std::function<bool(const std::string& name)>;

/// A file's bytes, mapped or in memory, and what keeps them alive.
struct FileBytes {
  std::string where;  ///< the path; opens error messages
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

/// Throws UserError where the file is missing, a folder, or unreadable.
FileBytes map_file(const std::filesystem::path& path);
FileBytes hold_bytes(std::string bytes, std::string where);

/// sizes of `shape` multiplied, times the bytes of one value. Throws UserError, opened by `where`,
/// for a negative size and where the product does not fit in 63 bits.
uint64_t count_bytes(const std::vector<int64_t>& shape, at::ScalarType dtype,
                     const std::string& where);

/// The bytes that a tensor takes in its file. Throws as `count_bytes` does.
uint64_t stored_bytes(const StoredTensor& tensor, const std::string& where);

/// The tensor whose first value lies at `data`, a place within `file` that the caller has checked.
/// Strides count values; none = contiguous. A view, or a copy where `data` is not aligned.
at::Tensor tensor_at_bytes(const FileBytes& file, const std::byte* data, const TensorInfo& info,
                           const std::vector<int64_t>& strides = {});

}  // namespace i1
