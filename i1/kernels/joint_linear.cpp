#include "i1/kernels/joint_linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "i1/kernels/column_sum.h"
#include "i1/kernels/linear.h"

namespace i1 {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The inputs of forward, in order; their gradients leave backward in the same order.
enum Input { kX, kNumImageRows, kWeightImage, kBiasImage, kWeightText, kBiasText, kNumInputs };

struct JointLinear : torch::autograd::Function<JointLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, int64_t num_image_rows,
                            const at::Tensor& weight_image, const at::Tensor& bias_image,
                            const at::Tensor& weight_text, const at::Tensor& bias_text) {
    const int64_t num_text_rows = x.size(0) - num_image_rows;
    at::Tensor y = at::empty({x.size(0), weight_image.size(0)}, x.options());  // (N, out)
    const auto apply_part = [&](int64_t begin, int64_t count, const at::Tensor& weight,
                                const at::Tensor& bias) {
      if (count == 0) return;
      at::Tensor part = y.narrow(0, begin, count);
      const at::Tensor rows = x.narrow(0, begin, count), enough = with_enough_rows(rows);
      if (linear_by_own(rows, weight, bias, part)) return;
      in_fixed_order(x, enough.size(0), weight.size(0), [&] {
        if (enough.is_same(rows)) {
          at::addmm_out(part, bias, rows, weight.t());
        } else {
          part.copy_(at::addmm(bias, enough, weight.t()).narrow(0, 0, count));
        }
      });
    };
    apply_part(0, num_image_rows, weight_image, bias_image);
    apply_part(num_image_rows, num_text_rows, weight_text, bias_text);
    context->save_for_backward({x, weight_image, weight_text});
    context->saved_data["num_image_rows"] = num_image_rows;
    return y;
  }

  // dx = dy W, dW = dy^T x, db = sum of dy's rows. An empty part has no gradient at all.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight_image = saved[1], &weight_text = saved[2];
    const int64_t M = context->saved_data["num_image_rows"].toInt(), N = x.size(0);
    const at::Tensor dy = gradients[0].contiguous();  // (N, out)
    // needs_input_grad counts tensors only
    const bool needs_x = context->needs_input_grad(0);
    variable_list results(kNumInputs);
    if (needs_x) results[kX] = at::empty({N, x.size(1)}, x.options());
    const auto apply_part = [&](int64_t begin, int64_t count, const at::Tensor& weight,
                                Input weight_input, Input bias_input) {
      if (count == 0) return;
      const at::Tensor dy_part = dy.narrow(0, begin, count);
      if (needs_x) {
        at::Tensor dx_part = results[kX].narrow(0, begin, count);
        at::mm_out(dx_part, dy_part, weight);
      }
      if (context->needs_input_grad(weight_input - 1))
        results[weight_input] = at::mm(dy_part.t(), x.narrow(0, begin, count));
      if (context->needs_input_grad(bias_input - 1))
        results[bias_input] = column_sum(dy_part, weight.scalar_type());
    };
    apply_part(0, M, weight_image, kWeightImage, kBiasImage);
    apply_part(M, N - M, weight_text, kWeightText, kBiasText);
    return results;
  }
};

}  // namespace

at::Tensor joint_linear(const at::Tensor& x, int64_t num_image_rows, const at::Tensor& weight_image,
                        const at::Tensor& bias_image, const at::Tensor& weight_text,
                        const at::Tensor& bias_text) {
  TORCH_CHECK(x.dim() == 2 && num_image_rows >= 0 && num_image_rows <= x.size(0),
              "joint_linear: x is ", x.sizes(), " and its first ", num_image_rows,
              " rows are image rows");
  for (const at::Tensor* weight : {&weight_image, &weight_text}) {
    TORCH_CHECK(weight->dim() == 2 && weight->size(1) == x.size(1) &&
                    weight->size(0) == weight_image.size(0) &&
                    weight->scalar_type() == x.scalar_type(),
                "joint_linear: x is ", x.sizes(), " ", x.scalar_type(), ", a weight ",
                weight->sizes(), " ", weight->scalar_type());
  }
  return JointLinear::apply(x, num_image_rows, weight_image, bias_image, weight_text, bias_text);
}

}  // namespace i1
