// Linear layers whose weights are int8: the product runs on whole numbers, exactly, at twice the
// rate of bfloat16 where the processor multiplies them.
#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// A matrix, of activations or of weights, as whole numbers and a factor for each block of a row:
/// x ~ values * scale.
struct Int8Rows {
  at::Tensor values;  ///< (N, K) int8, -127 to 127
  at::Tensor scale;   ///< (N, ceil(K / block_depth)) float32
};

/// Symmetric, each block by its largest magnitude: scale = max|x| / 127, values = x / scale rounded
/// half to even. A block of zeros (below 1e-30) gets scale 0; one with a value that is not finite
/// gets scale NaN. x: (N, K) float32 or bfloat16.
Int8Rows quantize_to_int8(const at::Tensor& x, int64_t block_depth);

/// weight: (out, in) int8 -> the same in the order that the product reads it:
/// (ceil(out / 32), ceil(in / 4), 32, 4) uint8, each 128 more than the weight, 128 where there is
/// none. `in` is at most 65,536, so that no sum overflows.
at::Tensor pack_int8(const at::Tensor& weight);

/// The weight that was packed, (out, in) int8.
at::Tensor unpack_int8(const at::Tensor& panels, int64_t out, int64_t in);

/// weight * row_scale, rounded once from float32 to `dtype`. weight: (out, in) int8, row_scale:
/// (out) float32.
at::Tensor widen_int8(const at::Tensor& weight, const at::Tensor& row_scale, at::ScalarType dtype);

/// What the product needs of a layer W ~ weight * row_scale.
struct Int8Weights {
  const at::Tensor& panels;     ///< of pack_int8
  const at::Tensor& row_scale;  ///< (out) float32
  const at::Tensor& bias;       ///< (out) of x's dtype
};

/// How much of a row of activations shares a factor. Where one value may be far larger than the
/// others, as those that SwiGLU makes are, it must not cost the whole row its precision; blocks of
/// 128 take a tenth more time.
constexpr int64_t kWholeRow = 1 << 16, kShortBlock = 128;

/// y = x W^T + b, where x is quantized in blocks of a row. x: (..., in) float32 or
/// bfloat16. Not differentiable. A row's result depends on that row alone. On a GPU LibTorch
/// multiplies the whole numbers; on a CPU without int8 products the weights are widened a layer at
/// a time and x is not quantized.
at::Tensor int8_linear(const at::Tensor& x, const Int8Weights& layer,
                       int64_t block_depth = kWholeRow);

/// Rows [0, num_image_rows) of x (N, in) through `image`, the others through `text` (as
/// joint_linear).
at::Tensor joint_int8_linear(const at::Tensor& x, int64_t num_image_rows, const Int8Weights& image,
                             const Int8Weights& text, int64_t block_depth = kWholeRow);

/// y = x W^T + b with W = weight * row_scale in x's dtype; x is not quantized.
at::Tensor widened_linear(const at::Tensor& x, const Int8Weights& layer);

namespace reference {
Int8Rows quantize_to_int8(const at::Tensor& x, int64_t block_depth);
at::Tensor pack_int8(const at::Tensor& weight);
at::Tensor widen_int8(const at::Tensor& weight, const at::Tensor& row_scale, at::ScalarType dtype);
at::Tensor int8_linear(const at::Tensor& x, const Int8Weights& layer, int64_t block_depth);
}  // namespace reference

}  // namespace i1
