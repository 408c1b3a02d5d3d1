// Launch functions of swiglu: plain pointers and sizes, no tensors. Rows of gate_up are [gate |
// up], F each.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

struct SwigluForward {
  const void* gate_up;  ///< (rows, 2 F), rows stride apart
  int64_t stride, rows, F;
  void* y;  ///< (rows, F) contiguous
  Element element;
};

struct SwigluBackward {
  const void *gate_up, *dy;  ///< (rows, 2 F) and (rows, F); rows may be apart
  int64_t stride, dy_stride, rows, F;
  void* dgate_up;  ///< (rows, 2 F) contiguous
  Element element;
};

/// Rows [begin, end).
void swiglu_forward_cpu(const SwigluForward& op, int64_t begin, int64_t end);
void swiglu_forward_cuda(const SwigluForward& op, Stream stream);
void swiglu_backward_cpu(const SwigluBackward& op, int64_t begin, int64_t end);
void swiglu_backward_cuda(const SwigluBackward& op, Stream stream);

}  // namespace i1::kernels
