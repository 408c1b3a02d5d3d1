#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// Two linear layers over the two parts of one buffer: rows [0, num_image_rows) go through the
/// image weights, the rest through the text weights, each result written in place, so that the
/// streams never have to be joined or cut.
///
///     y[:M] = x[:M] W_image^T + b_image,   y[M:] = x[M:] W_text^T + b_text
///
/// x: (N, in), weights: (out, in) of x's dtype, biases: (out) of x's dtype. Returns (N, out).
/// Differentiable in all five. Either part may be empty.
at::Tensor joint_linear(const at::Tensor& x, int64_t num_image_rows, const at::Tensor& weight_image,
                        const at::Tensor& bias_image, const at::Tensor& weight_text,
                        const at::Tensor& bias_text);

namespace reference {
at::Tensor joint_linear(const at::Tensor& x, int64_t num_image_rows, const at::Tensor& weight_image,
                        const at::Tensor& bias_image, const at::Tensor& weight_text,
                        const at::Tensor& bias_text);
}  // namespace reference

}  // namespace i1
