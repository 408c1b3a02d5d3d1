#include "i1/kernels/swiglu.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "i1/kernels/dispatch.h"
#include "i1/kernels/swiglu_kernels.h"

namespace i1 {
namespace {

using namespace kernels;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Swiglu : torch::autograd::Function<Swiglu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
    const at::Tensor rows = as_rows(gate_up, gate_up.size(1));  // (N, 2F)
    const int64_t N = rows.size(0), F = rows.size(1) / 2;
    const at::Tensor y = at::empty({N, F}, rows.options());
    const SwigluForward op{.gate_up = rows.const_data_ptr(),
                           .stride = rows.stride(0),
                           .rows = N,
                           .F = F,
                           .y = y.mutable_data_ptr(),
                           .element = element_of(rows)};
    if (backend_of(rows) == Backend::kCuda) {
      swiglu_forward_cuda(op, stream_of(rows));
    } else {
      parallel(N, 4 * F, [&](int64_t begin, int64_t end) { swiglu_forward_cpu(op, begin, end); });
    }
    context->save_for_backward({rows});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor rows = context->get_saved_variables()[0];  // (N, 2F)
    const int64_t N = rows.size(0), F = rows.size(1) / 2;
    const at::Tensor dy = as_rows(gradients[0], F);  // (N, F)
    const at::Tensor dgate_up = at::empty({N, 2 * F}, rows.options());
    const SwigluBackward op{.gate_up = rows.const_data_ptr(),
                            .dy = dy.const_data_ptr(),
                            .stride = rows.stride(0),
                            .dy_stride = dy.stride(0),
                            .rows = N,
                            .F = F,
                            .dgate_up = dgate_up.mutable_data_ptr(),
                            .element = element_of(rows)};
    if (backend_of(rows) == Backend::kCuda) {
      swiglu_backward_cuda(op, stream_of(rows));
    } else {
      parallel(N, 6 * F, [&](int64_t begin, int64_t end) { swiglu_backward_cpu(op, begin, end); });
    }
    return {dgate_up};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up) {
  TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0, "swiglu: gate_up is ",
              gate_up.sizes(), "; expected (N, 2F)");
  if (backend_of(gate_up) == Backend::kReference) return reference::swiglu(gate_up);
  return Swiglu::apply(gate_up);
}

}  // namespace i1
