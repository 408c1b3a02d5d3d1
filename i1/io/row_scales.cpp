#include "i1/io/row_scales.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/round.h>

#include "i1/core/error.h"

namespace i1 {
namespace {

const std::string kScaleSuffix = ".row_scale";

}  // namespace

std::pair<at::Tensor, at::Tensor> quantize_rows(const at::Tensor& weight) {
  constexpr double kLargest = 127;
  const at::Tensor rows = weight.flatten(1);                                // (out, in)
  const at::Tensor scale = rows.abs().amax(1).clamp_min(1e-12) / kLargest;  // (out)
  const at::Tensor values = at::clamp(at::round(rows / scale.unsqueeze(1)), -kLargest, kLargest);
  return {values.to(at::kChar).view_as(weight), scale};
}

void put_quantized(TensorMap& tensors, const std::string& key, const at::Tensor& weight) {
  std::tie(tensors[key], tensors[key + kScaleSuffix]) = quantize_rows(weight);
}

void restore_quantized(TensorMap& tensors, const std::string& where) {
  TensorMap scales;
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
    at::Tensor& values = found->second;
    check_user(values.dim() > 0 && scale.dim() == 1 && scale.size(0) == values.size(0), where,
               ": tensor \"", name, "\" has shape ", scale.sizes(), ", expected a value a row of ",
               values.sizes());
    std::vector<int64_t> shape(static_cast<size_t>(values.dim()), 1);
    shape[0] = values.size(0);
    values = values.to(at::kFloat) * scale.to(at::kFloat).view(shape);
  }
}

}  // namespace i1
