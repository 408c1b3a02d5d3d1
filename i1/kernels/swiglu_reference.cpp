#include <ATen/TensorOperators.h>
#include <ATen/ops/chunk.h>
#include <ATen/ops/silu.h>

#include "i1/kernels/swiglu.h"

namespace i1::reference {

at::Tensor swiglu(const at::Tensor& gate_up) {
  const std::vector<at::Tensor> halves = at::chunk(gate_up, 2, -1);  // 2 x (N, F)
  return at::silu(halves[0]) * halves[1];                            // (N, F)
}

}  // namespace i1::reference
