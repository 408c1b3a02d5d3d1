// Launch functions of qk_norm_rope: plain pointers and sizes, no tensors. A row is [q | k | v], H *
// E each, head-major.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

struct QkNormRopeForward {
  const void* qkv;  ///< (rows, 3 H E), rows qkv_stride apart
  int64_t qkv_stride;
  const float *q_scale, *k_scale;  ///< (E); null = not normalised
  const float *cos, *sin;          ///< (rows, E / 2); null = not rotated
  float eps;
  int64_t rows, num_heads, head_dim;
  void *q, *k;         ///< (rows, H, E) contiguous
  float* inverse_rms;  ///< (rows, 2, H) of q and k, kept for the backward pass
  Element element;
};

struct QkNormRopeBackward {
  const void *qkv, *dq, *dk, *dv;  ///< (rows, 3 H E) and three of (rows, H, E); rows may be apart
  int64_t qkv_stride, dq_stride, dk_stride, dv_stride;
  const float *q_scale, *k_scale, *cos, *sin, *inverse_rms;
  int64_t rows, num_heads, head_dim;
  void* dqkv;           ///< (rows, 3 H E) contiguous
  float* dscale_parts;  ///< (RowBlocks(rows).count, 2, E): gradients of both scales by block
  Element element;
};

/// Rows [begin, end).
void qk_norm_rope_forward_cpu(const QkNormRopeForward& op, int64_t begin, int64_t end);
void qk_norm_rope_forward_cuda(const QkNormRopeForward& op, Stream stream);

/// Row blocks [begin, end).
void qk_norm_rope_backward_cpu(const QkNormRopeBackward& op, int64_t begin, int64_t end);
void qk_norm_rope_backward_cuda(const QkNormRopeBackward& op, Stream stream);

}  // namespace i1::kernels
