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
};

using StoredTensors = std::map<std::string, StoredTensor>;

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

/// The tensor whose first value lies at `data`, a place within `file` that the caller has checked.
/// Strides count values; none = contiguous. A view, or a copy where `data` is not aligned.
at::Tensor tensor_at_bytes(const FileBytes& file, const std::byte* data, const TensorInfo& info,
                           const std::vector<int64_t>& strides = {});

}  // namespace i1
