// Launch functions of rms_norm: plain pointers and sizes, no tensors. Rows are D elements, the next
// one begins `stride` elements on.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

struct RmsNormForward {
  const void *x, *residual;  ///< (rows, D); residual null = none
  int64_t x_stride, residual_stride;
  const float* scale;  ///< (D)
  float eps;
  int64_t rows, D;
  void* y;             ///< (rows, D) contiguous
  float* inverse_rms;  ///< (rows), kept for the backward pass
  Element element;     ///< of x, residual and y
};

struct RmsNormBackward {
  const void *x, *dy;  ///< (rows, D)
  int64_t x_stride, dy_stride;
  const float *scale, *inverse_rms;
  int64_t rows, D;
  void* dx;  ///< (rows, D) contiguous
  float*
      dscale_parts;  ///< (RowBlocks(rows).count, D): the gradient of scale from each block of rows
  Element element;   ///< of x, dy and dx
};

/// Rows [begin, end).
void rms_norm_forward_cpu(const RmsNormForward& norm, int64_t begin, int64_t end);
void rms_norm_forward_cuda(const RmsNormForward& norm, Stream stream);

/// Row blocks [begin, end).
void rms_norm_backward_cpu(const RmsNormBackward& norm, int64_t begin, int64_t end);
void rms_norm_backward_cuda(const RmsNormBackward& norm, Stream stream);

}  // namespace i1::kernels
