#include "i1/model/components.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>

#include "i1/kernels/activation.h"
#include "i1/kernels/joint_linear.h"
#include "i1/kernels/linear.h"
#include "i1/kernels/rms_norm.h"
#include "i1/kernels/swiglu.h"

namespace i1 {

at::Tensor make_tensor(at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions(at::kFloat).device(at::kMeta));
}

Linear make_linear_layer(int64_t in, int64_t out) {
  return {make_tensor({out, in}), std::nullopt, make_tensor({out})};
}

Norm make_norm(int64_t size, bool use_rms_norm) {
  Norm norm{make_tensor({size}), std::nullopt};
  if (!use_rms_norm) norm.bias = make_tensor({size});
  return norm;
}

Ffn make_ffn(const ModelConfig& config) {
  const int64_t D = config.hidden_size, F = config.ffn_size();
  Ffn ffn;
  if (config.use_swiglu) {
    ffn.w12 = make_linear_layer(D, 2 * F);
    ffn.w3 = make_linear_layer(F, D);
  } else {
    ffn.fc1 = make_linear_layer(D, F);
    ffn.fc2 = make_linear_layer(F, D);
  }
  return ffn;
}

at::Tensor apply(const Linear& linear, const at::Tensor& x, int64_t block_depth) {
  if (linear.row_scale)
    return int8_linear(x, {linear.weight, *linear.row_scale, linear.bias}, block_depth);
  return i1::linear(x, linear.weight, linear.bias);
}

at::Tensor apply(const Norm& norm, const at::Tensor& x) {
  if (!norm.bias) return rms_norm(x, norm.scale, kNormEps);
  return at::layer_norm(x.to(at::kFloat), norm.scale.sizes(), norm.scale, *norm.bias, kNormEps)
      .to(x.scalar_type());
}

at::Tensor apply(const Ffn& ffn, const at::Tensor& x) {
  if (ffn.w12) return apply(*ffn.w3, swiglu(apply(*ffn.w12, x)), kShortBlock);
  return apply(*ffn.fc2, i1::gelu(apply(*ffn.fc1, x)));
}

at::Tensor add_norm(const at::Tensor& residual, const at::Tensor& x,
                    const std::optional<Norm>& norm) {
  if (!norm) return residual + x;
  if (norm->bias) return residual + apply(*norm, x);
  return add_rms_norm(residual, x, norm->scale, kNormEps);
}

at::Tensor apply_joint(const Linear& image, const Linear& text, const at::Tensor& x,
                       int64_t num_image_rows, int64_t block_depth) {
  if (image.row_scale && text.row_scale) {
    return joint_int8_linear(x, num_image_rows, {image.weight, *image.row_scale, image.bias},
                             {text.weight, *text.row_scale, text.bias}, block_depth);
  }
  return joint_linear(x, num_image_rows, image.weight, image.bias, text.weight, text.bias);
}

at::Tensor apply_joint(const Ffn& image, const Ffn& text, const at::Tensor& x,
                       int64_t num_image_rows) {
  if (image.w12) {
    const at::Tensor gate_up = apply_joint(*image.w12, *text.w12, x, num_image_rows);  // (N, 2F)
    return apply_joint(*image.w3, *text.w3, swiglu(gate_up), num_image_rows,
                       kShortBlock);  // (N, D)
  }
  const at::Tensor wide = apply_joint(*image.fc1, *text.fc1, x, num_image_rows);  // (N, F)
  return apply_joint(*image.fc2, *text.fc2, i1::gelu(wide), num_image_rows);      // (N, D)
}

at::Tensor apply_joint(const Norm& image, const Norm& text, const at::Tensor& x,
                       int64_t num_image_rows) {
  return at::cat({apply(image, x.narrow(0, 0, num_image_rows)),
                  apply(text, x.narrow(0, num_image_rows, x.size(0) - num_image_rows))});
}

}  // namespace i1
