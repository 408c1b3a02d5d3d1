#include "i1/model/adapter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "i1/kernels/attention.h"
#include "i1/model/attention_heads.h"

namespace i1 {
namespace {

at::Tensor attend(const AdapterAttention& layer, const ModelConfig& config,
                  const Captions& captions, const std::vector<Segment>& segments,
                  const at::Tensor& x) {
  const Qkv heads = split_heads(apply(layer.qkv, x), config.num_heads, layer.q_norm, layer.k_norm,
                                {});  // (R, H, E)
  const at::Tensor mixed = attention(heads.q, heads.k, heads.v, segments, captions.key_bias);
  return apply(layer.proj, mixed.flatten(1));  // (R, D)
}

}  // namespace

Captions captions_from_padded(const at::Tensor& states) {
  Captions captions{states.flatten(0, 1), {}, {}};
  for (int64_t g = 0; g <= states.size(0); ++g) captions.row_offsets.push_back(g * states.size(1));
  return captions;
}

Captions join(const Captions& first, const Captions& second) {
  const auto bias = [](const Captions& captions) {
    if (captions.key_bias.defined()) return captions.key_bias;
    return at::zeros({captions.states.size(0)}, captions.states.options().dtype(at::kFloat));
  };
  Captions both{at::cat({first.states, second.states}), first.row_offsets, {}};
  if (first.key_bias.defined() || second.key_bias.defined())
    both.key_bias = at::cat({bias(first), bias(second)});
  for (size_t g = 1; g < second.row_offsets.size(); ++g) {
    both.row_offsets.push_back(first.row_offsets.back() + second.row_offsets[g]);
  }
  return both;
}

at::Tensor adapt(const Adapter& adapter, const ModelConfig& config, const Captions& captions,
                 const Observer* observer) {
  std::vector<Segment> segments;
  for (size_t g = 0; g + 1 < captions.row_offsets.size(); ++g) {
    segments.push_back(
        {0, 0, captions.row_offsets[g], captions.row_offsets[g + 1] - captions.row_offsets[g]});
  }
  const at::Tensor states = captions.states.to(adapter.connector_in.weight.scalar_type());
  at::Tensor x = apply(adapter.connector_in, states);  // (R, D)
  observe(observer, "adapter.connector_in", x);
  for (size_t i = 0; i < adapter.blocks.size(); ++i) {
    const AdapterBlock& block = adapter.blocks[i];
    const std::string number = std::to_string(i + 1);
    const at::Tensor normed = apply(block.attention_norm, x);
    observe(observer, "adapter.norm" + number, normed);
    const at::Tensor mixed = attend(block.attn, config, captions, segments, normed);
    observe(observer, "adapter.attn" + number, mixed);
    x = x + mixed;
    observe(observer, "adapter.in_norm" + std::to_string(2 * i + 2), x);
    const at::Tensor wide = apply(block.mlp, apply(block.ffn_norm, x));
    observe(observer, "adapter.mlp" + number, wide);
    x = x + wide;  // (R, D)
    observe(observer, "adapter.block" + number + "_out", x);
  }
  observe(observer, "adapter.out", x);
  return x;
}

Adapter make_adapter(const ModelConfig& config) {
  const int64_t D = config.hidden_size;
  Adapter adapter;
  adapter.learnable_null_caption = make_tensor({1, config.num_text_tokens, config.text_width});
  adapter.connector_in = make_linear_layer(config.text_width, D);
  for (int64_t i = 0; i < config.num_adapter_blocks; ++i) {
    AdapterBlock block;
    block.attention_norm = make_norm(D, config.use_rms_norm);
    block.ffn_norm = make_norm(D, config.use_rms_norm);
    block.attn.qkv = make_linear_layer(D, 3 * D);
    if (config.use_qk_norm) {
      block.attn.q_norm = make_norm(config.head_dim(), config.use_rms_norm);
      block.attn.k_norm = make_norm(config.head_dim(), config.use_rms_norm);
    }
    block.attn.proj = make_linear_layer(D, D);
    block.mlp = make_ffn(config);
    adapter.blocks.push_back(std::move(block));
  }
  return adapter;
}

}  // namespace i1
