// Sums over the rows of a matrix: gradients of biases, and the last stage of every reduction over
// rows.
#pragma once

#include <ATen/core/Tensor.h>

#include "i1/kernels/launch.h"

namespace i1 {

/// x: (rows, columns), last dimension contiguous, float32 or bfloat16. Returns (columns) of
/// `dtype`, float32 or bfloat16; sums in float32 in an order that depends on the number of rows
/// alone.
at::Tensor column_sum(const at::Tensor& x, at::ScalarType dtype);

namespace reference {
at::Tensor column_sum(const at::Tensor& x, at::ScalarType dtype);
}  // namespace reference

namespace kernels {

struct ColumnSum {
  const void* x;  ///< (rows, columns), rows row_stride elements apart
  int64_t row_stride, rows, columns;
  void* sums;  ///< (columns)
  Element element, sums_element;
};

constexpr int64_t kColumnsPerTask = 64;

/// Columns [begin, end), begin a multiple of kColumnsPerTask.
void column_sum_cpu(const ColumnSum& sum, int64_t begin, int64_t end);
void column_sum_cuda(const ColumnSum& sum, Stream stream);

}  // namespace kernels
}  // namespace i1
