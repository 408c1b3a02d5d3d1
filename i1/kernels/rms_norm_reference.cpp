#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>

#include "i1/kernels/rms_norm.h"

namespace i1::reference {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& scale, double eps) {
  const at::Tensor wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);  // (..., D)
  const at::Tensor inverse =
      at::rsqrt(at::mean(wide * wide, {-1}, /*keepdim=*/true) + eps);  // (..., 1)
  return (wide * inverse * scale).to(x.scalar_type());                 // (..., D)
}

at::Tensor add_rms_norm(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& scale,
                        double eps) {
  return residual + reference::rms_norm(x, scale, eps);
}

}  // namespace i1::reference
