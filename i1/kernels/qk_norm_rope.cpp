#include "i1/kernels/qk_norm_rope.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "i1/kernels/column_sum.h"
#include "i1/kernels/dispatch.h"
#include "i1/kernels/qk_norm_rope_kernels.h"

namespace i1 {
namespace {

using namespace kernels;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = std::optional<at::Tensor>;

// The inputs of forward, in order; their gradients leave backward in the same order.
enum Input { kQkv, kNumHeads, kQScale, kKScale, kCos, kSin, kEps, kNumInputs };

const float* floats(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

at::Tensor contiguous(const OptionalTensor& tensor) {
  return tensor ? tensor->contiguous() : at::Tensor();
}

// (N, H, E) with heads together: the tensor itself or a copy.
at::Tensor with_heads_together(const at::Tensor& x) {
  return x.stride(2) == 1 && x.stride(1) == x.size(2) ? x : x.contiguous();
}

struct QkNormRope : torch::autograd::Function<QkNormRope> {
  static variable_list forward(AutogradContext* context, const at::Tensor& qkv, int64_t num_heads,
                               const OptionalTensor& q_scale, const OptionalTensor& k_scale,
                               const OptionalTensor& cos, const OptionalTensor& sin, double eps) {
    const at::Tensor rows = as_rows(qkv, qkv.size(1));
    const int64_t N = rows.size(0), H = num_heads, E = rows.size(1) / (3 * H);
    const at::Tensor q = at::empty({N, H, E}, qkv.options()), k = at::empty_like(q);
    const at::Tensor inverse_rms = at::empty({N, 2, H}, qkv.options().dtype(at::kFloat));
    const at::Tensor scale_q = contiguous(q_scale), scale_k = contiguous(k_scale);
    const at::Tensor c = contiguous(cos), s = contiguous(sin);
    const QkNormRopeForward op{.qkv = rows.const_data_ptr(),
                               .qkv_stride = rows.stride(0),
                               .q_scale = floats(scale_q),
                               .k_scale = floats(scale_k),
                               .cos = floats(c),
                               .sin = floats(s),
                               .eps = static_cast<float>(eps),
                               .rows = N,
                               .num_heads = H,
                               .head_dim = E,
                               .q = q.mutable_data_ptr(),
                               .k = k.mutable_data_ptr(),
                               .inverse_rms = inverse_rms.mutable_data_ptr<float>(),
                               .element = element_of(qkv)};
    if (backend_of(qkv) == Backend::kCuda) {
      qk_norm_rope_forward_cuda(op, stream_of(qkv));
    } else {
      parallel(N, 2 * H * E,
               [&](int64_t begin, int64_t end) { qk_norm_rope_forward_cpu(op, begin, end); });
    }
    context->save_for_backward({rows, scale_q, scale_k, c, s, inverse_rms});
    // v is not computed on: a view, detached because backward below gives its gradient too
    return {q, k, rows.detach().narrow(1, 2 * H * E, H * E).unflatten(1, {H, E})};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &qkv = saved[0], &q_scale = saved[1], &k_scale = saved[2],
                     &inverse_rms = saved[5];
    const at::Tensor dq = with_heads_together(gradients[0]), dk = with_heads_together(gradients[1]),
                     dv = with_heads_together(gradients[2]);  // (N, H, E)
    const int64_t N = qkv.size(0), H = dq.size(1), E = dq.size(2);
    const at::Tensor dqkv = at::empty({N, 3 * H * E}, qkv.options());
    const RowBlocks blocks(N);
    const at::Tensor dscale_parts = at::empty({blocks.count, 2 * E}, inverse_rms.options());
    const QkNormRopeBackward op{.qkv = qkv.const_data_ptr(),
                                .dq = dq.const_data_ptr(),
                                .dk = dk.const_data_ptr(),
                                .dv = dv.const_data_ptr(),
                                .qkv_stride = qkv.stride(0),
                                .dq_stride = dq.stride(0),
                                .dk_stride = dk.stride(0),
                                .dv_stride = dv.stride(0),
                                .q_scale = floats(q_scale),
                                .k_scale = floats(k_scale),
                                .cos = floats(saved[3]),
                                .sin = floats(saved[4]),
                                .inverse_rms = floats(inverse_rms),
                                .rows = N,
                                .num_heads = H,
                                .head_dim = E,
                                .dqkv = dqkv.mutable_data_ptr(),
                                .dscale_parts = dscale_parts.mutable_data_ptr<float>(),
                                .element = element_of(qkv)};
    if (backend_of(qkv) == Backend::kCuda) {
      qk_norm_rope_backward_cuda(op, stream_of(qkv));
    } else {
      parallel(blocks.count, blocks.rows_per_block * 3 * H * E,
               [&](int64_t begin, int64_t end) { qk_norm_rope_backward_cpu(op, begin, end); });
    }
    variable_list results(kNumInputs);
    results[kQkv] = dqkv;
    if (q_scale.defined() || k_scale.defined()) {
      const at::Tensor dscales = column_sum(dscale_parts, at::kFloat);  // (2 E)
      if (q_scale.defined()) results[kQScale] = dscales.narrow(0, 0, E);
      if (k_scale.defined()) results[kKScale] = dscales.narrow(0, E, E);
    }
    return results;
  }
};

OptionalTensor optional(const at::Tensor& tensor) {
  return tensor.defined() ? OptionalTensor(tensor) : std::nullopt;
}

void check_arguments(const at::Tensor& qkv, int64_t num_heads, const at::Tensor& q_scale,
                     const at::Tensor& k_scale, const at::Tensor& cos, const at::Tensor& sin) {
  TORCH_CHECK(qkv.dim() == 2 && num_heads > 0 && qkv.size(1) % (3 * num_heads) == 0,
              "qk_norm_rope: qkv is ", qkv.sizes(), "; expected (N, 3 * ", num_heads,
              " heads * head_dim)");
  const int64_t N = qkv.size(0), E = qkv.size(1) / (3 * num_heads);
  const at::ScalarType wide = qkv.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (const at::Tensor* scale : {&q_scale, &k_scale}) {
    TORCH_CHECK(!scale->defined() ||
                    (scale->dim() == 1 && scale->size(0) == E && scale->scalar_type() == wide),
                "qk_norm_rope: a scale is ", scale->sizes(), " ", scale->scalar_type(),
                "; expected (", E, ") ", wide);
  }
  TORCH_CHECK(cos.defined() == sin.defined(), "qk_norm_rope: cos and sin go together");
  if (!cos.defined()) return;
  for (const at::Tensor* angle : {&cos, &sin}) {
    TORCH_CHECK(E % 2 == 0 && angle->dim() == 2 && angle->size(0) == N && angle->size(1) == E / 2 &&
                    angle->scalar_type() == wide,
                "qk_norm_rope: cos or sin is ", angle->sizes(), " ", angle->scalar_type(),
                "; expected (", N, ", ", E, " / 2) ", wide);
  }
}

}  // namespace

Qkv qk_norm_rope(const at::Tensor& qkv, int64_t num_heads, const at::Tensor& q_scale,
                 const at::Tensor& k_scale, const at::Tensor& cos, const at::Tensor& sin,
                 double eps) {
  check_arguments(qkv, num_heads, q_scale, k_scale, cos, sin);
  if (backend_of(qkv) == Backend::kReference)
    return reference::qk_norm_rope(qkv, num_heads, q_scale, k_scale, cos, sin, eps);
  const variable_list out = QkNormRope::apply(qkv, num_heads, optional(q_scale), optional(k_scale),
                                              optional(cos), optional(sin), eps);
  return {out[0], out[1], out[2]};
}

}  // namespace i1
