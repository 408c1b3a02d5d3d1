// Launch functions around the int8 product: plain pointers and sizes, no tensors.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

struct QuantizeRows {
  const void* x;  ///< (rows, K), rows stride apart
  int64_t stride, rows, K;
  int8_t* values;  ///< (rows, K) contiguous
  float* scale;    ///< (rows)
  Element element;
};

struct DequantizeRows {
  const int32_t* sums;             ///< (rows, F) contiguous
  const float *row_scale, *scale;  ///< (rows) and (F)
  const void* bias;                ///< (F) of the element's type
  int64_t rows, F;
  void* y;  ///< (rows, F), rows y_stride apart
  int64_t y_stride;
  Element element;
};

/// Rows [begin, end).
void quantize_rows_cpu(const QuantizeRows& op, int64_t begin, int64_t end);
void dequantize_rows_cpu(const DequantizeRows& op, int64_t begin, int64_t end);

}  // namespace i1::kernels
