#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// Root-mean-square normalisation over the last dimension (Zhang & Sennrich 2019, eq. 4),
/// statistics in float32:
///
///     y = x / sqrt(mean(x^2) + eps) * scale
///
/// x: (..., D), float32 or bfloat16, last dimension contiguous. scale: (D), float32. Returns x's
/// shape and dtype. Differentiable in both. Throws c10::Error when D differs.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& scale, double eps = 1e-6);

/// residual + rms_norm(x, scale): the sandwich norm and the residual sum of every block in one
/// pass. residual: shape and dtype of x. Differentiable in all three.
at::Tensor add_rms_norm(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& scale,
                        double eps = 1e-6);

namespace reference {
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& scale, double eps = 1e-6);
at::Tensor add_rms_norm(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& scale,
                        double eps = 1e-6);
}  // namespace reference

}  // namespace i1
