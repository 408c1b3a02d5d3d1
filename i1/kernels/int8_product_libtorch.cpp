// The int8 product where LibTorch multiplies (a GPU): its int8 matrix product gives the exact sums
// of a block of the depth; scales and bias follow in float32, as with our own instructions.
#include <ATen/TensorOperators.h>
#include <ATen/ops/_int_mm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "i1/kernels/int8_linear.h"
#include "i1/kernels/int8_linear_kernels.h"

namespace i1::kernels {
namespace {

// What cuBLAS asks of an int8 product: more than 16 rows, depth and columns in multiples of 8.
constexpr int64_t kMinRows = 17, kUnit = 8;

// Zeros behind a matrix's rows and columns, which no sum sees.
at::Tensor padded(const at::Tensor& matrix, int64_t rows, int64_t columns) {
  if (matrix.size(0) == rows && matrix.size(1) == columns) return matrix.contiguous();
  return at::constant_pad_nd(matrix, {0, columns - matrix.size(1), 0, rows - matrix.size(0)});
}

int64_t round_up(int64_t n) { return (n + kUnit - 1) / kUnit * kUnit; }

}  // namespace

at::Tensor int8_product_libtorch(const at::Tensor& x, const Int8Weights& layer,
                                 int64_t block_depth) {
  const int64_t N = x.size(0), in = x.size(1), out = layer.row_scale.size(0);
  const Int8Rows rows = reference::quantize_to_int8(x, block_depth);
  const at::Tensor weight = unpack_int8(layer.panels, out, in);       // (out, in)
  at::Tensor y = at::zeros({N, out}, x.options().dtype(at::kFloat));  // (N, out)
  for (int64_t begin = 0, block = 0; begin < in; begin += block_depth, ++block) {
    const int64_t depth = std::min(block_depth, in - begin), wide = round_up(depth);
    const at::Tensor left =
        padded(rows.values.narrow(1, begin, depth), std::max(N, kMinRows), wide);  // (N, depth)
    const at::Tensor right = padded(weight.narrow(1, begin, depth), round_up(out), wide);
    const at::Tensor sums = at::_int_mm(left, right.t()).narrow(0, 0, N).narrow(1, 0, out);
    y.add_(sums.to(at::kFloat) * rows.scale.narrow(1, block, 1));
  }
  return (y * layer.row_scale + layer.bias).to(x.scalar_type());
}

}  // namespace i1::kernels
