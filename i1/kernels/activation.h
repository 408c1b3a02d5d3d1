// Activations element by element. LibTorch's own take another path, with other last bits, for the
// end of each thread's share: what they give depends on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// x sigmoid(x), and the tanh form of x Phi(x) (Hendrycks and Gimpel 2016, sec. 2). x: any shape
/// and float dtype; inner arithmetic of bfloat16 in float32. Same shape and dtype; memory in the
/// same order where that has no gaps. Differentiable.
at::Tensor silu(const at::Tensor& x);
at::Tensor gelu(const at::Tensor& x);

namespace reference {
at::Tensor silu(const at::Tensor& x);
at::Tensor gelu(const at::Tensor& x);
}  // namespace reference

}  // namespace i1
