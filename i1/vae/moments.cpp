#include "i1/vae/moments.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/chunk.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/exp.h>

namespace i1 {

Moments split_moments(const at::Tensor& moments) {
  const std::vector<at::Tensor> halves = at::chunk(moments, 2, 1);
  return {halves[0], at::clamp(halves[1], -30, 20)};
}

at::Tensor sample(const Moments& moments, const at::Tensor& noise) {
  return moments.mean + at::exp(0.5 * moments.log_variance) * noise;
}

}  // namespace i1
