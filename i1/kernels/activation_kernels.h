// Launch functions of activations: plain pointers and sizes, no tensors.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

enum class ActivationKind : uint8_t { kSilu, kGelu };

struct Activation {
  ActivationKind kind;
  const void* x;   ///< (count) contiguous
  const void* dy;  ///< of the result, for the backward pass; null: forward
  void* y;         ///< the result, or dx
  Element element;
};

/// Elements [begin, end).
void activation_cpu(const Activation& op, int64_t begin, int64_t end);

}  // namespace i1::kernels
