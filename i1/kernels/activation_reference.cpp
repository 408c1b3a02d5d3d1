#include <ATen/ops/gelu.h>
#include <ATen/ops/silu.h>

#include "i1/kernels/activation.h"

namespace i1::reference {

at::Tensor silu(const at::Tensor& x) { return at::silu(x); }

at::Tensor gelu(const at::Tensor& x) { return at::gelu(x, "tanh"); }

}  // namespace i1::reference
