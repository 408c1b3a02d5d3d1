#include "i1/kernels/attention.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "i1/kernels/amx.h"
#include "i1/kernels/attention_kernels.h"
#include "i1/kernels/dispatch.h"

namespace i1 {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The rows of all samples as lists of numbers, one after the other.
struct RowLists {
  std::vector<int32_t> rows;
  std::vector<int64_t> offsets = {0};
  int64_t longest = 0;

  explicit RowLists(const std::vector<Segment>& segments) {
    for (const Segment& segment : segments) {
      for (int64_t i = 0; i < segment.image_count; ++i)
        rows.push_back(static_cast<int32_t>(segment.image_begin + i));
      for (int64_t i = 0; i < segment.text_count; ++i)
        rows.push_back(static_cast<int32_t>(segment.text_begin + i));
      const auto end = static_cast<int64_t>(rows.size());
      longest = std::max(longest, end - offsets.back());
      offsets.push_back(end);
    }
  }
  int64_t num_samples() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t count(int64_t sample) const { return offsets[sample + 1] - offsets[sample]; }
  const int32_t* begin(int64_t sample) const { return rows.data() + offsets[sample]; }
};

// Where a head begins in a tensor (N, heads, E).
char* head_of(const at::Tensor& tensor, int64_t head) {
  return static_cast<char*>(tensor.data_ptr()) + head * tensor.stride(1) * tensor.element_size();
}
const char* const_head_of(const at::Tensor& tensor, int64_t head) {
  return static_cast<const char*>(tensor.const_data_ptr()) +
         head * tensor.stride(1) * tensor.element_size();
}

struct Call {
  at::Tensor q, k, v, key_bias, out;
  at::Tensor log_sum_exp;  // (N, H) float32; undefined where no backward pass follows
  AttentionOptions options;

  kernels::AttentionHead head(const RowLists& lists, int64_t sample, int64_t h) const {
    const int64_t g = h / (q.size(1) / k.size(1));
    const double scale =
        options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(2)));
    kernels::AttentionHead head{};
    head.rows = lists.begin(sample);
    head.count = lists.count(sample);
    head.head_dim = q.size(2);
    head.q = const_head_of(q, h);
    head.k = const_head_of(k, g);
    head.v = const_head_of(v, g);
    head.out = head_of(out, h);
    head.q_stride = q.stride(0);
    head.k_stride = k.stride(0);
    head.v_stride = v.stride(0);
    head.out_stride = out.stride(0);
    head.scale = static_cast<float>(scale);
    head.logit_softcap = static_cast<float>(options.logit_softcap);
    head.key_bias = key_bias.defined() ? key_bias.const_data_ptr<float>() : nullptr;
    if (log_sum_exp.defined()) {
      head.log_sum_exp = log_sum_exp.data_ptr<float>() + h;
      head.lse_stride = log_sum_exp.stride(0);
    }
    head.element = kernels::element_of(q);
    return head;
  }
};

void forward_heads(const Call& call, const RowLists& lists) {
  const int64_t H = call.q.size(1);
  at::parallel_for(0, lists.num_samples() * H, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(kernels::attention_forward_scratch(lists.longest, call.q.size(2)));
    for (int64_t i = begin; i < end; ++i)
      kernels::attention_forward_cpu(call.head(lists, i / H, i % H), scratch.data());
  });
}

// None where the processor does not multiply bfloat16.
using ForwardBfloat16 = void (*)(const kernels::AttentionHead&, void*);
ForwardBfloat16 forward_bfloat16() {
  static const ForwardBfloat16 forward = kernels::has_amx() ? &kernels::attention_forward_amx
                                         : kernels::has_avx512_bf16()
                                             ? &kernels::attention_forward_avx512_bf16
                                             : nullptr;
  return forward;
}

void forward_heads_bfloat16(const Call& call, const RowLists& lists) {
  const int64_t H = call.q.size(1);
  const int64_t num_bytes = kernels::attention_bf16_scratch(lists.longest, call.q.size(2));
  at::parallel_for(0, lists.num_samples() * H, 1, [&](int64_t begin, int64_t end) {
    const at::Tensor scratch = at::empty({num_bytes}, at::kByte);
    for (int64_t i = begin; i < end; ++i)
      forward_bfloat16()(call.head(lists, i / H, i % H), scratch.data_ptr());
  });
}

// A thread owns a key head of a sample: its query heads add to the same d_k and d_v.
void backward_heads(const Call& call, const RowLists& lists, const at::Tensor& d_out,
                    const at::Tensor& d_q, const at::Tensor& d_k, const at::Tensor& d_v) {
  const int64_t G = call.k.size(1), group = call.q.size(1) / G, E = call.q.size(2);
  const int64_t width = kernels::attention_width(E);
  at::parallel_for(0, lists.num_samples() * G, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(kernels::attention_backward_scratch(lists.longest, E));
    std::vector<float> sums(2 * lists.longest * width);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t sample = i / G, g = i % G, size = lists.count(sample) * width;
      std::fill_n(sums.data(), 2 * size, 0.0f);
      for (int64_t h = g * group; h < (g + 1) * group; ++h) {
        kernels::attention_backward_cpu(call.head(lists, sample, h),
                                        {const_head_of(d_out, h), head_of(d_q, h), d_q.stride(0),
                                         sums.data(), sums.data() + size},
                                        scratch.data());
      }
      const kernels::AttentionHead head = call.head(lists, sample, g * group);
      kernels::attention_store_cpu(head, sums.data(), head_of(d_k, g), d_k.stride(0));
      kernels::attention_store_cpu(head, sums.data() + size, head_of(d_v, g), d_v.stride(0));
    }
  });
}

struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const std::optional<at::Tensor>& bias,
                            const std::shared_ptr<const RowLists>& lists,
                            const AttentionOptions& options) {
    const at::Tensor key_bias = bias.value_or(at::Tensor());
    Call call{q,
              k,
              v,
              key_bias,
              at::zeros({q.size(0), q.size(1), q.size(2)}, q.options()),
              at::empty({q.size(0), q.size(1)}, at::kFloat),
              options};
    forward_heads(call, *lists);
    context->save_for_backward({q, k, v, key_bias, call.out, call.log_sum_exp});
    lists_of(context) = lists;
    context->saved_data["scale"] = options.scale;
    context->saved_data["logit_softcap"] = options.logit_softcap;
    return call.out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    AttentionOptions options;
    options.scale = context->saved_data["scale"].toDouble();
    options.logit_softcap = context->saved_data["logit_softcap"].toDouble();
    const Call call{saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], options};
    const at::Tensor d_out = gradients[0].contiguous();
    const auto like = [](const at::Tensor& x) { return at::zeros(x.sizes(), x.options()); };
    const at::Tensor d_q = like(call.q), d_k = like(call.k), d_v = like(call.v);
    backward_heads(call, *lists_of(context), d_out, d_q, d_k, d_v);
    return {d_q, d_k, d_v, at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  // A holder that the context can carry.
  struct Holder : torch::CustomClassHolder {
    std::shared_ptr<const RowLists> lists;
  };
  static std::shared_ptr<const RowLists>& lists_of(AutogradContext* context) {
    auto& slot = context->saved_data["lists"];
    if (slot.isNone()) slot = c10::IValue::make_capsule(c10::make_intrusive<Holder>());
    return static_cast<Holder*>(slot.toCapsule().get())->lists;
  }
};

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<Segment>& segments, const at::Tensor& key_bias,
                     const AttentionOptions& options) {
  TORCH_CHECK(q.dim() == 3 && k.sizes() == v.sizes() && q.size(0) == k.size(0) &&
                  q.size(2) == k.size(2) && q.size(1) % k.size(1) == 0,
              "attention: q is ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  const bool is_fast = q.is_cpu() &&
                       (q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16) &&
                       q.stride(2) == 1 && k.stride(2) == 1 && v.stride(2) == 1 &&
                       k.scalar_type() == q.scalar_type();
  if (!is_fast) return reference::attention(q, k, v, segments, key_bias, options);
  const bool has_backward =
      at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  if (!has_backward && q.scalar_type() == at::kBFloat16 && !key_bias.defined() &&
      options.logit_softcap == 0 && options.scale >= 0 && forward_bfloat16() != nullptr) {
    const Call call{q, k, v, {}, at::zeros(q.sizes(), q.options()), {}, options};
    forward_heads_bfloat16(call, RowLists(segments));
    return call.out;
  }
  const auto bias = key_bias.defined() ? std::optional(key_bias) : std::nullopt;
  return PackedAttention::apply(q, k, v, bias, std::make_shared<const RowLists>(segments), options);
}

}  // namespace i1
