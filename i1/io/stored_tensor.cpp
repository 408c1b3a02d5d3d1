#include "i1/io/stored_tensor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>

#include <bit>
#include <cstring>
#include <limits>

#include "i1/core/error.h"
#include "i1/core/files.h"

namespace i1 {

static_assert(std::endian::native == std::endian::little, "tensors are stored little-endian");

FileBytes map_file(const std::filesystem::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  return {path.string(), file, file->bytes()};
}

FileBytes hold_bytes(std::string bytes, std::string where) {
  const auto held = std::make_shared<const std::string>(std::move(bytes));
  return {std::move(where), held, std::as_bytes(std::span(*held))};
}

uint64_t count_bytes(const std::vector<int64_t>& shape, at::ScalarType dtype,
                     const std::string& where) {
  uint64_t num_bytes = c10::elementSize(dtype);
  bool is_empty = false;
  for (const int64_t size : shape) {
    check_user(size >= 0, where, ": shape ", at::IntArrayRef(shape), " has a negative size");
    is_empty |= size == 0;
    const auto factor = std::max<uint64_t>(static_cast<uint64_t>(size), 1);
    check_user(num_bytes <= std::numeric_limits<int64_t>::max() / factor, where, ": shape ",
               at::IntArrayRef(shape), " overflows");
    num_bytes *= factor;
  }
  return is_empty ? 0 : num_bytes;
}

uint64_t stored_bytes(const StoredTensor& tensor, const std::string& where) {
  return tensor.encoding.empty() ? count_bytes(tensor.info.shape, tensor.info.dtype, where)
                                 : tensor.encoded_bytes;
}

StoredTensors as_stored(const TensorMap& tensors) {
  StoredTensors stored;
  for (const auto& [name, tensor] : tensors) {
    stored[name] = {{tensor.scalar_type(), tensor.sizes().vec()},
                    [tensor = tensor] { return tensor.to(at::kCPU).contiguous(); }};
  }
  return stored;
}

TensorMap shapes_of(const StoredTensors& tensors, const std::string& where) {
  TensorMap shapes;
  for (const auto& [key, tensor] : tensors) {
    const auto& [dtype, shape] = tensor.info;
    check_user(at::isFloatingType(dtype), where, ": tensor \"", key, "\" is ", dtype,
               ", expected floating-point numbers");
    shapes[key] = at::empty(shape, at::TensorOptions(dtype).device(at::kMeta));
  }
  return shapes;
}

TensorMap read_all(const StoredTensors& tensors) {
  TensorMap values;
  for (const auto& [name, tensor] : tensors) values[name] = tensor.read();
  return values;
}

at::Tensor tensor_at_bytes(const FileBytes& file, const std::byte* data, const TensorInfo& info,
                           const std::vector<int64_t>& strides) {
  std::vector<int64_t> steps = strides;
  if (steps.empty()) {
    steps.resize(info.shape.size(), 1);
    for (size_t i = steps.size(); i-- > 1;)
      steps[i - 1] = steps[i] * std::max<int64_t>(info.shape[i], 1);
  }
  const size_t alignment = c10::elementSize(info.dtype);
  const auto options = at::TensorOptions(info.dtype);
  if (reinterpret_cast<uintptr_t>(data) % alignment == 0) {
    return at::from_blob(
        const_cast<std::byte*>(data), info.shape, steps, [owner = file.owner](void*) {}, options);
  }
  // Kernels expect aligned values: the span that the strides reach is copied as it is.
  size_t num_values = 1;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (info.shape[i] == 0) num_values = 0;
    if (num_values > 0) num_values += static_cast<size_t>((info.shape[i] - 1) * steps[i]);
  }
  at::Tensor copy = at::empty_strided(info.shape, steps, options);
  if (num_values > 0) std::memcpy(copy.mutable_data_ptr(), data, num_values * alignment);
  return copy;
}

}  // namespace i1
