#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// silu(gate) * up, where the last dimension of gate_up is [gate | up] (Shazeer 2020, "GLU
/// Variants"). gate_up: (N, 2F), float32 or bfloat16, contiguous. Returns (N, F). Differentiable;
/// inner arithmetic in float32.
at::Tensor swiglu(const at::Tensor& gate_up);

namespace reference {
at::Tensor swiglu(const at::Tensor& gate_up);
}  // namespace reference

}  // namespace i1
