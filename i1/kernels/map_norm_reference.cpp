#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>

#include "i1/kernels/map_norm.h"

namespace i1::reference {
namespace {

at::Tensor by_pixel(const at::Tensor& channels) { return channels.unsqueeze(2).unsqueeze(3); }

at::Tensor widened(const MapNorm& norm, const at::Tensor& x) {
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return x.to(wide) * by_pixel(norm.scale).to(wide) + by_pixel(norm.shift).to(wide);
}

}  // namespace

at::Tensor map_sums(const at::Tensor& rows) {
  const at::Tensor lengths = at::linalg_vector_norm(rows, 2, {{2, 3}}, false, at::kDouble);
  return at::stack({at::sum(rows, {2, 3}, false, at::kDouble), lengths.square()});
}

at::Tensor apply(const MapNorm& norm, const at::Tensor& x) {
  return widened(norm, x).to(x.scalar_type());
}

at::Tensor apply_silu(const MapNorm& norm, const at::Tensor& x) {
  return at::silu(widened(norm, x)).to(x.scalar_type());
}

}  // namespace i1::reference
