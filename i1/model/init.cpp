#include "i1/model/init.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace i1 {
namespace {

constexpr double kCut = 2,
                 kCutStd = 0.8796256610342398;  // std of a standard normal cut at two sigmas

at::Tensor xavier_uniform(at::IntArrayRef shape, const RandomStream& stream) {
  at::Tensor weight = at::empty(shape, at::kFloat);
  const double bound = std::sqrt(6.0 / static_cast<double>(shape[0] + shape[1]));
  fill_uniform(weight, stream, -bound, bound);
  return weight;
}

bool contains(const std::string& key, const char* part) {
  return key.find(part) != std::string::npos;
}

}  // namespace

at::Tensor lecun_normal(at::IntArrayRef shape, const RandomStream& stream) {
  at::Tensor weight = at::empty(shape, at::kFloat);
  const double fan_in = static_cast<double>(weight.numel() / shape[0]);
  fill_truncated_normal(weight, stream, std::sqrt(1 / fan_in) / kCutStd, kCut);
  return weight;
}

void initialize(DualStream& model, const RandomStream& stream) {
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (is_frozen(key)) return;
    const RandomStream own = stream.child(key);
    const std::vector<int64_t> shape = tensor.sizes().vec();
    if (key.ends_with("bias")) {
      tensor = at::zeros(shape, at::kFloat);
    } else if (key.ends_with("scale")) {
      tensor = at::ones(shape, at::kFloat);
    } else if (contains(key, "null_caption")) {
      tensor = normal_tensor(shape, own) * std::pow(static_cast<double>(shape.back()), -0.5);
    } else if (contains(key, "connector_in") || contains(key, "skip_linear")) {
      tensor = xavier_uniform(shape, own);
    } else {
      tensor = lecun_normal(shape, own);
    }
  });
}

}  // namespace i1
