#include "i1/kernels/activation.h"

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "i1/kernels/activation_kernels.h"
#include "i1/kernels/dispatch.h"

namespace i1 {
namespace {

using namespace kernels;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// As it lies in memory, where every element is there once: the order does not matter.
at::Tensor without_gaps(const at::Tensor& x) {
  return x.is_non_overlapping_and_dense() ? x : x.contiguous();
}

at::Tensor run(ActivationKind kind, const at::Tensor& x, const at::Tensor& dy) {
  const at::Tensor y = at::empty_like(x);
  const Activation op{.kind = kind,
                      .x = x.const_data_ptr(),
                      .dy = dy.defined() ? dy.const_data_ptr() : nullptr,
                      .y = y.mutable_data_ptr(),
                      .element = element_of(x)};
  parallel(x.numel(), 16, [&](int64_t begin, int64_t end) { activation_cpu(op, begin, end); });
  return y;
}

struct ActivationFunction : torch::autograd::Function<ActivationFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, ActivationKind kind) {
    const at::Tensor values = without_gaps(x);
    context->save_for_backward({values});
    context->saved_data["kind"] = static_cast<int64_t>(kind);
    return run(kind, values, {});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const auto kind = static_cast<ActivationKind>(context->saved_data["kind"].toInt());
    const at::Tensor dy = at::empty_like(x).copy_(gradients[0]);  // in x's order
    return {run(kind, x, dy), {}};
  }
};

}  // namespace

at::Tensor silu(const at::Tensor& x) {
  if (backend_of(x) != Backend::kCpu) return reference::silu(x);
  return ActivationFunction::apply(x, ActivationKind::kSilu);
}

at::Tensor gelu(const at::Tensor& x) {
  if (backend_of(x) != Backend::kCpu) return reference::gelu(x);
  return ActivationFunction::apply(x, ActivationKind::kGelu);
}

}  // namespace i1
