#include "i1/io/row_scales.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <memory>
#include <utility>

#include "i1/core/error.h"

namespace i1 {

std::pair<at::Tensor, at::Tensor> quantize_rows(const at::Tensor& weight) {
  constexpr float kLargest = 127, kSmallestRow = 1e-30f;
  const at::Tensor rows = weight.flatten(1);         // (out, in)
  const at::Tensor most = rows.abs().amax(1, true);  // (out, 1)
  const at::Tensor is_used = most >= kSmallestRow;   // (out, 1)
  const at::Tensor factor = at::where(is_used, kLargest / most, at::zeros_like(most));
  const at::Tensor scale = at::where(most < kSmallestRow, at::zeros_like(most), most / kLargest);
  const at::Tensor values = at::where(is_used, at::round(rows * factor), at::zeros_like(rows));
  return {values.to(at::kChar).view_as(weight), scale.squeeze(1)};
}

void put_quantized(TensorMap& tensors, const std::string& key, const at::Tensor& weight) {
  std::tie(tensors[key], tensors[key + kScaleSuffix]) = quantize_rows(weight);
}

void put_quantized(StoredTensors& tensors, const std::string& key, const StoredTensor& weight) {
  // The scale is read right after its matrix, which has it at hand.
  const auto scale = std::make_shared<at::Tensor>();
  const auto quantize = [read = weight.read] { return quantize_rows(read().to(at::kFloat)); };
  const TensorInfo matrix = {at::kChar, weight.info.shape};
  const TensorInfo column = {at::kFloat, std::vector(1, weight.info.shape.at(0))};
  tensors[key] = StoredTensor{matrix, [quantize, scale] {
                                at::Tensor values;
                                std::tie(values, *scale) = quantize();
                                return values;
                              }};
  tensors[key + kScaleSuffix] = StoredTensor{
      column, [quantize, scale] {
        return scale->defined() ? std::exchange(*scale, at::Tensor()) : quantize().second;
      }};
}

StoredTensors restore_quantized(StoredTensors& tensors, const std::string& where) {
  StoredTensors scales, pairs;
  std::erase_if(tensors, [&](const auto& item) {
    if (!item.first.ends_with(kScaleSuffix)) return false;
    scales.insert(item);
    return true;
  });
  for (const auto& [name, scale] : scales) {
    const std::string key = name.substr(0, name.size() - kScaleSuffix.size());
    const auto found = tensors.find(key);
    check_user(found != tensors.end(), where, ": tensor \"", name, "\" scales \"", key,
               "\", which is not there");
    const StoredTensor values = found->second;
    const std::vector<int64_t>& shape = values.info.shape;
    check_user(!shape.empty() && scale.info.shape == std::vector{shape[0]}, where, ": tensor \"",
               name, "\" has shape ", at::IntArrayRef(scale.info.shape),
               ", expected a value a row of ", at::IntArrayRef(shape));
    pairs[key] = values;
    pairs[name] = scale;
    std::vector<int64_t> column(shape.size(), 1);
    column[0] = shape[0];
    const TensorInfo info = {at::kFloat, shape};
    found->second = StoredTensor{info, [values, scale = scale, column] {
                                   return values.read().to(at::kFloat) *
                                          scale.read().to(at::kFloat).view(column);
                                 }};
  }
  return pairs;
}

void restore_quantized(TensorMap& tensors, const std::string& where) {
  StoredTensors stored = as_stored(tensors);
  restore_quantized(stored, where);
  tensors = read_all(stored);
}

}  // namespace i1
