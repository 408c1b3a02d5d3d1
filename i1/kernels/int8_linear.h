// Linear layers whose weights are int8: the product runs on whole numbers, exactly, at twice the
// rate of bfloat16 where the processor multiplies them.
#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// A matrix as whole numbers and one factor a row: x ~ values * scale.
struct Int8Rows {
  at::Tensor values;  ///< (N, K) int8, -127 to 127
  at::Tensor scale;   ///< (N) float32
};

/// Symmetric, each row by its largest magnitude: scale = max|x| / 127, values = x / scale rounded
/// half to even. A row of zeros (below 1e-30) gets scale 0; one with a value that is not finite
/// gets scale NaN. x: (N, K) float32 or bfloat16.
Int8Rows quantize_activations(const at::Tensor& x);

/// y = x W^T + b, where W ~ weight * row_scale and x is quantized row by row. x: (..., in) float32
/// or bfloat16, weight: (out, in) int8, row_scale: (out) float32, bias: (out) of x's dtype. Not
/// differentiable. Sums are exact, so a row's result depends on that row alone.
at::Tensor int8_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& row_scale,
                       const at::Tensor& bias);

/// The same written into `y`, (N, out) of x's dtype whose rows may be apart; x: (N, in).
void int8_linear_out(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight,
                     const at::Tensor& row_scale, const at::Tensor& bias);

/// Whether this processor multiplies int8 (VNNI). Without it sums of two products can overflow 16
/// bits, and int8_linear widens the weights a layer at a time: `widened_linear`.
bool has_int8_products();

/// y = x W^T + b with W = weight * row_scale in x's dtype; x is not quantized.
at::Tensor widened_linear(const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& row_scale, const at::Tensor& bias);

namespace reference {
Int8Rows quantize_activations(const at::Tensor& x);
at::Tensor int8_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& row_scale,
                       const at::Tensor& bias);
}  // namespace reference

}  // namespace i1
