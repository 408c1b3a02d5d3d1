#include "i1/text/t5gemma.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/any.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/masked_fill.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "i1/core/error.h"
#include "i1/kernels/activation.h"
#include "i1/kernels/attention.h"
#include "i1/kernels/int8_linear.h"
#include "i1/kernels/linear.h"
#include "i1/kernels/rms_norm.h"

namespace i1 {
namespace {

// Mixes rows: q (N, H, E), k and v (N, G, E) of one layer -> (N, H, E).
using Mix = std::function<at::Tensor(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v)>;

struct Rope {
  at::Tensor cos, sin;  // (N, 1, E/2) float32
};

// positions: (N) integers.
Rope rope_table(const at::Tensor& positions, int64_t head_dim, double theta) {
  const at::Tensor channels =
      at::arange(0, head_dim, 2, positions.options().dtype(at::kFloat)) / head_dim;  // (E/2)
  const at::Tensor angles =
      positions.to(at::kFloat).unsqueeze(1) / at::pow(theta, channels);  // (N, E/2)
  return {at::cos(angles).unsqueeze(1), at::sin(angles).unsqueeze(1)};
}

// Halves are paired, not neighbours: (a, b) = (x[d], x[d + E/2]).
at::Tensor rotate(const at::Tensor& x, const Rope& rope) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor wide = x.to(at::kFloat);                                        // (N, H, E)
  const at::Tensor a = wide.narrow(-1, 0, half), b = wide.narrow(-1, half, half);  // (N, H, E/2)
  return at::cat({a * rope.cos - b * rope.sin, b * rope.cos + a * rope.sin}, -1)
      .to(x.scalar_type());  // (N, H, E)
}

// An int8 matrix is as wide as x for the length of its product only.
at::Tensor linear(const at::Tensor& x, const T5GemmaWeight& layer) {
  return i1::linear(x, values_of(layer, x.scalar_type()));
}

at::Tensor norm_scale(const T5GemmaWeight& norm) { return values_of(norm, at::kFloat) + 1; }

at::Tensor embed(const T5GemmaWeight& table, const at::Tensor& ids, at::ScalarType dtype) {
  T5GemmaWeight rows{at::embedding(table.weight, ids)};                              // (N, D)
  if (table.row_scale) rows.row_scale = at::index_select(*table.row_scale, 0, ids);  // (N)
  return values_of(rows, dtype);
}

// The encoder over rows (N, D), whatever they belong to: only `mix` knows.
class Forward {
 public:
  Forward(const T5GemmaEncoder& encoder, const TextEncoderOptions& options,
          const at::Tensor& positions, Mix mix, const Observer* observer)
      : encoder_(encoder),
        config_(encoder.config),
        dtype_(options.compute_dtype),
        rope_(rope_table(positions, config_.head_dim, config_.rope_theta)),
        mix_(std::move(mix)),
        observer_(observer) {}

  at::Tensor operator()(const at::Tensor& ids) const {
    // The factor is rounded to the computing type first, as in both references.
    const at::Tensor factor =
        at::scalar_tensor(std::sqrt(static_cast<double>(config_.hidden_size)), at::kFloat)
            .to(dtype_);
    at::Tensor h = embed(encoder_.embed_tokens, ids, dtype_) * factor;  // (N, D)
    observe(observer_, "hidden.0", h);
    for (size_t i = 0; i < encoder_.layers.size(); ++i) {
      h = layer(static_cast<int64_t>(i), h);  // (N, D)
      observe(observer_, "hidden." + std::to_string(i + 1), h);
    }
    h = rms_norm(h, norm_scale(encoder_.norm), config_.rms_norm_eps);  // (N, D)
    observe(observer_, "last_hidden_state", h);
    return h;
  }

 private:
  at::Tensor layer(int64_t index, const at::Tensor& h) const {
    const T5GemmaLayer& layer = encoder_.layers[static_cast<size_t>(index)];
    const double eps = config_.rms_norm_eps;
    at::Tensor x = rms_norm(h, norm_scale(layer.pre_self_attn_layernorm), eps);  // (N, D)
    stage(index, "pre_self_attn_norm", x);
    x = attend(index, layer.self_attn, x);  // (N, D)
    stage(index, "attn_o_proj", x);
    const at::Tensor between =
        add_rms_norm(h, x, norm_scale(layer.post_self_attn_layernorm), eps);  // (N, D)
    stage(index, "after_attn_residual", between);
    x = rms_norm(between, norm_scale(layer.pre_feedforward_layernorm), eps);  // (N, D)
    stage(index, "pre_feedforward_norm", x);
    const at::Tensor gate = i1::gelu(linear(x, layer.mlp.gate_proj));      // (N, F)
    x = linear(gate * linear(x, layer.mlp.up_proj), layer.mlp.down_proj);  // (N, D)
    stage(index, "mlp_out", x);
    return add_rms_norm(between, x, norm_scale(layer.post_feedforward_layernorm), eps);  // (N, D)
  }

  at::Tensor attend(int64_t index, const T5GemmaAttention& attention, const at::Tensor& x) const {
    const auto heads = [&](const T5GemmaWeight& weight) {
      return linear(x, weight).unflatten(-1, {-1, config_.head_dim});
    };
    const at::Tensor q = rotate(heads(attention.q_proj), rope_);  // (N, H, E)
    const at::Tensor k = rotate(heads(attention.k_proj), rope_);  // (N, G, E)
    const at::Tensor v = heads(attention.v_proj);                 // (N, G, E)
    if (observer_ != nullptr) {
      stage(index, "rope_cos", at::cat({rope_.cos, rope_.cos}, -1).squeeze(1));  // (N, E)
      stage(index, "rope_sin", at::cat({rope_.sin, rope_.sin}, -1).squeeze(1));  // (N, E)
    }
    stage(index, "q_rope", q);
    stage(index, "k_rope", k);
    stage(index, "v", v);
    return linear(mix_(index, q, k, v).flatten(1), attention.o_proj);  // (N, D)
  }

  void stage(int64_t index, const char* name, const at::Tensor& value) const {
    if (observer_ != nullptr)
      observe(observer_, "layer" + std::to_string(index) + "." + name, value);
  }

  const T5GemmaEncoder& encoder_;
  const T5GemmaConfig& config_;
  at::ScalarType dtype_;
  Rope rope_;
  Mix mix_;
  const Observer* observer_;
};

AttentionOptions attention_options(const T5GemmaConfig& config, const TextEncoderOptions& options) {
  return {.scale = 1 / std::sqrt(config.query_pre_attn_scalar),
          .logit_softcap = options.use_logit_softcap ? config.attn_logit_softcapping : 0};
}

// Attention under any mask, one tensor operation a step. q: (N, H, E), k, v: (N, G, E) with
// N = B*T; visible: (B, T, T). The name of each stage follows `prefix`.
at::Tensor masked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& visible, const AttentionOptions& options,
                            const Observer* observer, const std::string& prefix) {
  const int64_t B = visible.size(0), T = visible.size(1), H = q.size(1);
  const auto heads_first = [&](const at::Tensor& x) {
    return x.to(at::kFloat)
        .unflatten(0, {B, T})
        .repeat_interleave(H / x.size(1), 2)
        .transpose(1, 2);  // (B, H, T, E)
  };
  at::Tensor logits =
      at::matmul(heads_first(q), heads_first(k).transpose(2, 3)) * options.scale;  // (B, H, T, T)
  observe(observer, prefix + "logits_scaled", logits);
  if (options.logit_softcap != 0)
    logits = at::tanh(logits / options.logit_softcap) * options.logit_softcap;
  observe(observer, prefix + "logits_capped", logits);
  const at::Tensor seen = visible.unsqueeze(1);  // (B, 1, T, T)
  // The lowest finite value and not -inf: a row without any key must not become NaN.
  logits = at::masked_fill(logits, seen.logical_not(), std::numeric_limits<float>::lowest());
  const at::Tensor probs = at::softmax(logits, -1) * at::any(seen, -1, /*keepdim=*/true);
  observe(observer, prefix + "probs", probs);                      // (B, H, T, T)
  const at::Tensor mixed = at::matmul(probs, heads_first(v));      // (B, H, T, E)
  return mixed.transpose(1, 2).flatten(0, 1).to(q.scalar_type());  // (N, H, E)
}

at::Tensor integers(const std::vector<int64_t>& values, at::Device device) {
  return at::from_blob(const_cast<int64_t*>(values.data()), {static_cast<int64_t>(values.size())},
                       at::kLong)
      .clone()
      .to(device);
}

at::Tensor log_of(const std::vector<double>& values, at::Device device) {
  at::Tensor logs = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
  std::transform(values.begin(), values.end(), logs.data_ptr<float>(),
                 [](double value) { return static_cast<float>(std::log(value)); });
  return logs.to(device);
}

void check_prompts(const T5GemmaConfig& config, const std::vector<std::vector<int64_t>>& prompts,
                   int64_t num_text_tokens) {
  check_user(!prompts.empty(), "no prompt to encode");
  for (const std::vector<int64_t>& ids : prompts) {
    check_user(static_cast<int64_t>(ids.size()) <= num_text_tokens, "a prompt has ", ids.size(),
               " tokens, expected at most ", num_text_tokens);
    for (const int64_t id : ids) {
      check_user(id >= 0 && id < config.vocab_size, "token id ", id,
                 ": the text encoder's vocabulary has ", config.vocab_size,
                 " entries; is this its tokenizer?");
    }
  }
}

// No layer's window hides anything: rows are packed, and one more row, which belongs to no segment
// and so gets an attention output of 0, is the padding of all prompts.
at::Tensor encode_packed(const T5GemmaEncoder& encoder,
                         const std::vector<std::vector<int64_t>>& prompts, int64_t num_text_tokens,
                         const TextEncoderOptions& options, const Observer* observer) {
  std::vector<int64_t> ids, positions, order;
  std::vector<Segment> segments;
  for (const std::vector<int64_t>& prompt : prompts) {
    segments.push_back({.text_begin = static_cast<int64_t>(ids.size()),
                        .text_count = static_cast<int64_t>(prompt.size())});
    for (size_t i = 0; i < prompt.size(); ++i) {
      order.push_back(static_cast<int64_t>(ids.size()));
      ids.push_back(prompt[i]);
      positions.push_back(static_cast<int64_t>(i));
    }
    if (static_cast<int64_t>(prompt.size()) < num_text_tokens) order.push_back(-1);
  }
  std::replace(order.begin(), order.end(), int64_t{-1}, static_cast<int64_t>(ids.size()));
  ids.push_back(encoder.config.pad_token_id);
  positions.push_back(0);
  const AttentionOptions attention_settings = attention_options(encoder.config, options);
  const Mix mix = [&](int64_t, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return attention(q, k, v, segments, {}, attention_settings);
  };
  const at::Device device = encoder.embed_tokens.weight.device();
  const Forward forward(encoder, options, integers(positions, device), mix, observer);
  return at::index_select(forward(integers(ids, device)), 0, integers(order, device));  // (N, D)
}

// The padded form at `length`, of which every prompt keeps the rows of `layout`.
at::Tensor encode_unpacked(const T5GemmaEncoder& encoder,
                           const std::vector<std::vector<int64_t>>& prompts, int64_t length,
                           const std::vector<PackedPrompt>& layout,
                           const TextEncoderOptions& options, const Observer* observer) {
  std::vector<int64_t> ids, mask, order;
  for (size_t b = 0; b < prompts.size(); ++b) {
    const int64_t begin = static_cast<int64_t>(ids.size());
    ids.insert(ids.end(), prompts[b].begin(), prompts[b].end());
    ids.resize(static_cast<size_t>(begin + length), encoder.config.pad_token_id);
    mask.resize(static_cast<size_t>(begin) + prompts[b].size(), 1);
    mask.resize(ids.size(), 0);
    for (int64_t i = 0; i < layout[b].num_tokens + layout[b].num_padding_rows; ++i)
      order.push_back(begin + i);
  }
  const at::Device device = encoder.embed_tokens.weight.device();
  const at::Tensor hidden = encode_padded_text(encoder, integers(ids, device).view({-1, length}),
                                               integers(mask, device).view({-1, length}), options,
                                               observer);                     // (B, length, D)
  return at::index_select(hidden.flatten(0, 1), 0, integers(order, device));  // (N, D)
}

}  // namespace

at::Tensor values_of(const T5GemmaWeight& weight, at::ScalarType dtype) {
  if (!weight.row_scale) return weight.weight.to(dtype);
  const at::Tensor rows = weight.weight.view({weight.weight.size(0), -1});
  return widen_int8(rows, *weight.row_scale, dtype).view_as(weight.weight);
}

at::Tensor visible_keys(const at::Tensor& mask, bool is_sliding, int64_t window,
                        PaddingMode padding) {
  const at::Tensor valid = mask != 0;                                      // (B, T)
  at::Tensor visible = valid.unsqueeze(1).expand({-1, mask.size(1), -1});  // (B, T, T)
  if (padding == PaddingMode::kJax) visible = visible & valid.unsqueeze(2);
  if (is_sliding) {
    const at::Tensor index = at::arange(mask.size(1), mask.options().dtype(at::kLong));
    visible = visible & ((index.unsqueeze(1) - index.unsqueeze(0)).abs() < window);
  }
  return visible;
}

at::Tensor encode_padded_text(const T5GemmaEncoder& encoder, const at::Tensor& ids,
                              const at::Tensor& mask, const TextEncoderOptions& options,
                              const Observer* observer) {
  TORCH_CHECK(ids.dim() == 2 && mask.sizes() == ids.sizes(), "encode_padded_text: ids are ",
              ids.sizes(), ", mask ", mask.sizes(), "; both must be (B, T)");
  const int64_t B = ids.size(0), T = ids.size(1);
  const T5GemmaConfig& config = encoder.config;
  const bool is_jax = options.padding == PaddingMode::kJax;
  // JAX counts valid tokens only, transformers every row.
  const at::Tensor positions =
      is_jax ? (at::cumsum((mask != 0).to(at::kLong), 1) - 1).clamp_min(0)
             : at::arange(T, ids.options().dtype(at::kLong)).expand({B, T});  // (B, T)
  const at::Tensor all = visible_keys(mask, false, config.sliding_window, options.padding);
  const at::Tensor near = visible_keys(mask, true, config.sliding_window, options.padding);
  const AttentionOptions attention_settings = attention_options(config, options);
  const Mix mix = [&](int64_t layer, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v) {
    return masked_attention(q, k, v, config.is_sliding(layer) ? near : all, attention_settings,
                            observer, "layer" + std::to_string(layer) + ".");
  };
  const Observer unflatten = [&](const std::string& stage, const at::Tensor& value) {
    (*observer)(stage, value.unflatten(0, {B, T}));
  };
  const Forward forward(encoder, options, positions.reshape(-1), mix,
                        observer == nullptr ? nullptr : &unflatten);
  return forward(ids.to(at::kLong).flatten()).unflatten(0, {B, T});  // (B, T, D)
}

PackedText encode_text(const T5GemmaEncoder& encoder,
                       const std::vector<std::vector<int64_t>>& prompts, int64_t num_text_tokens,
                       const TextEncoderOptions& options, const Observer* observer) {
  check_prompts(encoder.config, prompts, num_text_tokens);
  const bool is_jax = options.padding == PaddingMode::kJax;
  PackedText packed;
  std::vector<double> counts;
  int64_t longest = 0;
  for (const std::vector<int64_t>& prompt : prompts) {
    const int64_t num_tokens = static_cast<int64_t>(prompt.size());
    const int64_t num_padding = num_text_tokens - num_tokens;
    const int64_t num_rows = is_jax ? std::min<int64_t>(num_padding, 1) : num_padding;
    packed.prompts.push_back({static_cast<int64_t>(counts.size()), num_tokens, num_rows});
    counts.insert(counts.end(), prompt.size(), 1);
    counts.insert(counts.end(), static_cast<size_t>(num_rows), is_jax ? num_padding : 1);
    longest = std::max(longest, num_tokens);
  }
  packed.key_bias = log_of(counts, encoder.embed_tokens.weight.device());  // (N)
  if (is_jax && longest <= encoder.config.sliding_window) {
    packed.hidden = encode_packed(encoder, prompts, num_text_tokens, options, observer);
  } else {
    packed.hidden = encode_unpacked(
        encoder, prompts, is_jax ? std::min(longest + 1, num_text_tokens) : num_text_tokens,
        packed.prompts, options, observer);
  }
  return packed;
}

}  // namespace i1
