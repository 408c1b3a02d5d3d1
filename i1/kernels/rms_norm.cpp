#include "i1/kernels/rms_norm.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "i1/kernels/column_sum.h"
#include "i1/kernels/dispatch.h"
#include "i1/kernels/rms_norm_kernels.h"

namespace i1 {
namespace {

using namespace kernels;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Forward {
  at::Tensor y, rows, inverse_rms;  // y as x; the rows that were read; (rows)
};

Forward run_forward(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& scale,
                    double eps) {
  const int64_t D = x.size(-1);
  const at::Tensor rows = as_rows(x, D);  // (rows, D)
  const at::Tensor residual_rows = residual.defined() ? as_rows(residual, D) : at::Tensor();
  const at::Tensor y = at::empty(x.sizes(), x.options());
  const at::Tensor inverse_rms = at::empty({rows.size(0)}, scale.options());
  const RmsNormForward norm{
      .x = rows.const_data_ptr(),
      .residual = residual.defined() ? residual_rows.const_data_ptr() : nullptr,
      .x_stride = rows.stride(0),
      .residual_stride = residual.defined() ? residual_rows.stride(0) : 0,
      .scale = scale.const_data_ptr<float>(),
      .eps = static_cast<float>(eps),
      .rows = rows.size(0),
      .D = D,
      .y = y.mutable_data_ptr(),
      .inverse_rms = inverse_rms.mutable_data_ptr<float>(),
      .element = element_of(x)};
  if (backend_of(x) == Backend::kCuda) {
    rms_norm_forward_cuda(norm, stream_of(x));
  } else {
    parallel(norm.rows, D,
             [&](int64_t begin, int64_t end) { rms_norm_forward_cpu(norm, begin, end); });
  }
  return {y, rows, inverse_rms};
}

struct Gradients {
  at::Tensor dx, dscale;  // as dy; (D) float32
};

Gradients run_backward(const at::Tensor& dy, const variable_list& saved) {
  const at::Tensor &x = saved[0], &scale = saved[1], &inverse_rms = saved[2];  // x: (rows, D)
  const int64_t D = x.size(1);
  const at::Tensor slopes = as_rows(dy, D);  // (rows, D)
  const at::Tensor dx = at::empty(dy.sizes(), dy.options());
  const RowBlocks blocks(x.size(0));
  const at::Tensor dscale_parts = at::empty({blocks.count, D}, scale.options());
  const RmsNormBackward norm{.x = x.const_data_ptr(),
                             .dy = slopes.const_data_ptr(),
                             .x_stride = x.stride(0),
                             .dy_stride = slopes.stride(0),
                             .scale = scale.const_data_ptr<float>(),
                             .inverse_rms = inverse_rms.const_data_ptr<float>(),
                             .rows = x.size(0),
                             .D = D,
                             .dx = dx.mutable_data_ptr(),
                             .dscale_parts = dscale_parts.mutable_data_ptr<float>(),
                             .element = element_of(x)};
  if (backend_of(x) == Backend::kCuda) {
    rms_norm_backward_cuda(norm, stream_of(x));
  } else {
    parallel(blocks.count, blocks.rows_per_block * D,
             [&](int64_t begin, int64_t end) { rms_norm_backward_cpu(norm, begin, end); });
  }
  return {dx, column_sum(dscale_parts, at::kFloat)};
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& scale,
                            double eps) {
    const Forward result = run_forward(x, {}, scale, eps);
    context->save_for_backward({result.rows, scale, result.inverse_rms});
    return result.y;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Gradients result = run_backward(gradients[0], context->get_saved_variables());
    return {result.dx, result.dscale, {}};
  }
};

struct AddRmsNorm : torch::autograd::Function<AddRmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& residual,
                            const at::Tensor& x, const at::Tensor& scale, double eps) {
    const Forward result = run_forward(x, residual, scale, eps);
    context->save_for_backward({result.rows, scale, result.inverse_rms});
    return result.y;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Gradients result = run_backward(gradients[0], context->get_saved_variables());
    return {gradients[0], result.dx, result.dscale, {}};
  }
};

// scale: (D) float32 beside float32 and bfloat16; float64 goes to the twin.
void check_scale(const at::Tensor& x, const at::Tensor& scale) {
  TORCH_CHECK(x.dim() >= 1 && scale.dim() == 1 && x.size(-1) == scale.size(0), "rms_norm: x is ",
              x.sizes(), ", scale ", scale.sizes(),
              "; the last dimension of x must equal the length of scale");
  TORCH_CHECK(scale.scalar_type() == (x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat),
              "rms_norm: x is ", x.scalar_type(), ", scale ", scale.scalar_type(),
              "; scale must be float32");
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& scale, double eps) {
  check_scale(x, scale);
  if (backend_of(x) == Backend::kReference) return reference::rms_norm(x, scale, eps);
  return RmsNorm::apply(x, scale.contiguous(), eps);
}

at::Tensor add_rms_norm(const at::Tensor& residual, const at::Tensor& x, const at::Tensor& scale,
                        double eps) {
  check_scale(x, scale);
  TORCH_CHECK(residual.sizes() == x.sizes() && residual.scalar_type() == x.scalar_type(),
              "add_rms_norm: residual is ", residual.sizes(), " ", residual.scalar_type(), ", x ",
              x.sizes(), " ", x.scalar_type());
  if (backend_of(x) == Backend::kReference) return reference::add_rms_norm(residual, x, scale, eps);
  return AddRmsNorm::apply(residual, x, scale.contiguous(), eps);
}

}  // namespace i1
