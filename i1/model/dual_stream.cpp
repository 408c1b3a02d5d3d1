#include "i1/model/dual_stream.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/tensor.h>

#include <cmath>

#include "i1/core/error.h"
#include "i1/kernels/linear.h"
#include "i1/model/attention_heads.h"

namespace i1 {
namespace {

// (B, C, h, w) -> (B I, C P P): patches in row-major order, their values as the convolution's
// weights lie.
at::Tensor patchify(const at::Tensor& x, int64_t P) {
  const int64_t B = x.size(0), C = x.size(1), rows = x.size(2) / P, columns = x.size(3) / P;
  return x.view({B, C, rows, P, columns, P})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({B * rows * columns, C * P * P});
}

// (B I, P P C) -> (B, C, h, w)
at::Tensor unpatchify(const at::Tensor& tokens, const Layout& layout, int64_t P) {
  const int64_t B = layout.num_samples, rows = layout.rows, columns = layout.columns;
  return tokens.view({B, rows, columns, P, P, -1})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({B, -1, rows * P, columns * P});
}

at::Tensor pre_norm(const std::optional<Norm>& shared, const std::optional<Norm>& image,
                    const std::optional<Norm>& text, const at::Tensor& x, int64_t M) {
  return shared ? apply(*shared, x) : apply_joint(*image, *text, x, M);
}

// q, k, v of the whole buffer, (N, H, E) each.
Qkv joint_heads(const JointAttention& attn, const at::Tensor& qkv, int64_t num_heads,
                const Layout& layout) {
  if (!attn.q_norm_image)
    return split_heads(qkv, num_heads, attn.q_norm, attn.k_norm, layout.angles);
  const int64_t M = layout.num_image_rows, num_text = qkv.size(0) - M;
  const auto part = [&](int64_t begin, int64_t count, const auto& q_norm, const auto& k_norm) {
    return split_heads(
        qkv.narrow(0, begin, count), num_heads, q_norm, k_norm,
        {layout.angles.cos.narrow(0, begin, count), layout.angles.sin.narrow(0, begin, count)});
  };
  const Qkv image = part(0, M, attn.q_norm_image, attn.k_norm_image);
  const Qkv text = part(M, num_text, attn.q_norm_text, attn.k_norm_text);
  return {at::cat({image.q, text.q}), at::cat({image.k, text.k}), at::cat({image.v, text.v})};
}

// What only golden tests want: q and k between norm and RoPE.
void observe_qk_norm(const Observer* observer, const std::string& name, const JointAttention& attn,
                     const at::Tensor& qkv, int64_t num_heads) {
  if (observer == nullptr || attn.q_norm_image) return;
  const Qkv normed = split_heads(qkv, num_heads, attn.q_norm, attn.k_norm, {});
  observe(observer, name + ".q_norm", normed.q);
  observe(observer, name + ".k_norm", normed.k);
}

// One block over the packed buffer. The last block's text rows reach nothing behind its attention:
// they are let go.
at::Tensor forward(const Block& block, at::Tensor x, const at::Tensor& skip, bool is_last,
                   const DualStream& model, const Layout& layout, const Observer* observer,
                   const std::string& name) {
  const int64_t M = layout.num_image_rows;
  if (skip.defined()) {
    x = apply_joint(*block.skip_linear_image, *block.skip_linear_text, at::cat({x, skip}, 1),
                    M);  // (N, D)
    observe(observer, name + ".skip", x);
  }
  at::Tensor h = pre_norm(block.norm1, block.norm1_image, block.norm1_text, x, M);  // (N, D)
  observe(observer, name + ".norm1", h);
  const at::Tensor qkv = apply_joint(block.attn.qkv_image, block.attn.qkv_text, h, M);  // (N, 3D)
  observe(observer, name + ".qkv", qkv);
  observe_qk_norm(observer, name, block.attn, qkv, model.config.num_heads);
  const Qkv heads = joint_heads(block.attn, qkv, model.config.num_heads, layout);  // (N, H, E)
  observe(observer, name + ".q", heads.q);
  observe(observer, name + ".k", heads.k);
  observe(observer, name + ".v", heads.v);
  at::Tensor mixed = attention(heads.q, heads.k, heads.v, layout.segments).flatten(1);  // (N, D)
  observe(observer, name + ".sdpa_out", mixed);
  if (is_last && observer == nullptr) {
    x = x.narrow(0, 0, M);
    mixed = mixed.narrow(0, 0, M);
  }
  h = apply_joint(block.attn.proj_image, block.attn.proj_text, mixed, M);  // (N, D)
  observe(observer, name + ".attn_out", h);
  if (observer != nullptr && block.norm3)
    observe(observer, name + ".norm3", apply(*block.norm3, h));
  x = add_norm(x, h, block.norm3);  // (N, D)

  h = pre_norm(block.norm2, block.norm2_image, block.norm2_text, x, M);  // (N, D)
  observe(observer, name + ".norm2", h);
  h = apply_joint(block.mlp_image, block.mlp_text, h, M);  // (N, D)
  observe(observer, name + ".mlp", h);
  if (observer != nullptr && block.norm4)
    observe(observer, name + ".norm4", apply(*block.norm4, h));
  x = add_norm(x, h, block.norm4);  // (N, D)
  observe(observer, name + ".out", x);
  return x;
}

at::Tensor run_blocks(const DualStream& model, at::Tensor x, const Layout& layout,
                      const Observer* observer) {
  const auto run = [&](const Block& block, const at::Tensor& skip, bool is_last,
                       const std::string& name) {
    x = forward(block, x, skip, is_last, model, layout, observer, name);
  };
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    run(model.blocks[i], {}, i + 1 == model.blocks.size(), "blocks." + std::to_string(i));
  }
  if (!model.mid_block) return x;
  std::vector<at::Tensor> skips;
  for (size_t i = 0; i < model.in_blocks.size(); ++i) {
    run(model.in_blocks[i], {}, false, "in_blocks." + std::to_string(i));
    skips.push_back(x);
  }
  run(*model.mid_block, {}, model.out_blocks.empty(), "mid_block");
  for (size_t i = 0; i < model.out_blocks.size(); ++i) {
    run(model.out_blocks[i], skips.back(), i + 1 == model.out_blocks.size(),
        "out_blocks." + std::to_string(i));
    skips.pop_back();
  }
  return x;
}

Block make_block(const ModelConfig& config, bool has_skip) {
  const int64_t D = config.hidden_size;
  const auto norm = [&] { return make_norm(D, config.use_rms_norm); };
  const auto head_norm = [&] { return make_norm(config.head_dim(), config.use_rms_norm); };
  Block block;
  if (has_skip) {
    block.skip_linear_image = make_linear_layer(2 * D, D);
    block.skip_linear_text = make_linear_layer(2 * D, D);
  }
  if (config.use_separate_norms) {
    block.norm1_image = norm();
    block.norm1_text = norm();
    block.norm2_image = norm();
    block.norm2_text = norm();
  } else {
    block.norm1 = norm();
    block.norm2 = norm();
  }
  if (config.use_sandwich_norm) {
    block.norm3 = norm();
    block.norm4 = norm();
  }
  block.attn.qkv_image = make_linear_layer(D, 3 * D);
  block.attn.qkv_text = make_linear_layer(D, 3 * D);
  if (config.use_qk_norm && config.use_separate_qk_norms) {
    block.attn.q_norm_image = head_norm();
    block.attn.k_norm_image = head_norm();
    block.attn.q_norm_text = head_norm();
    block.attn.k_norm_text = head_norm();
  } else if (config.use_qk_norm) {
    block.attn.q_norm = head_norm();
    block.attn.k_norm = head_norm();
  }
  block.attn.proj_image = make_linear_layer(D, D);
  block.attn.proj_text = make_linear_layer(D, D);
  block.mlp_image = make_ffn(config);
  block.mlp_text = make_ffn(config);
  return block;
}

}  // namespace

DualStream make_dual_stream(const ModelConfig& config) {
  check_model_config(config, "model config");
  const int64_t D = config.hidden_size, C = config.latent_channels, P = config.patch_size,
                grid = config.grid_size();
  DualStream model;
  model.config = config;
  model.pos_embed = make_pos_embed(D, grid, grid, config.position_scale());
  model.patch_embed = {make_tensor({D, C, P, P}), std::nullopt, make_tensor({D})};
  constexpr int64_t kTimestepFeatures = 256;
  model.t_embedder =
      TimestepEmbedder{make_linear_layer(kTimestepFeatures, D), make_linear_layer(D, D)};
  model.text_encoder_adapter = make_adapter(config);
  model.rope_embedder = make_rope_tables(config, grid, grid, config.position_scale());
  for (int64_t i = 0; i < config.num_in_blocks(); ++i)
    model.in_blocks.push_back(make_block(config, false));
  if (config.use_long_skip) model.mid_block = make_block(config, false);
  for (int64_t i = 0; i < config.num_in_blocks(); ++i)
    model.out_blocks.push_back(make_block(config, true));
  for (int64_t i = 0; i < config.num_plain_blocks(); ++i)
    model.blocks.push_back(make_block(config, false));
  model.norm_final = make_norm(D, config.use_rms_norm);
  model.final_linear = make_linear_layer(D, P * P * C);
  return model;
}

bool is_frozen(const std::string& key) {
  return key == "pos_embed" || key.starts_with("rope_embedder.");
}

Condition narrow(const Condition& condition, int64_t begin, int64_t count) {
  const auto offset = condition.text_offsets.begin() + begin;
  Condition part;
  for (auto b = offset; b <= offset + count; ++b) part.text_offsets.push_back(*b - *offset);
  part.text_tokens = condition.text_tokens.narrow(0, *offset, part.text_offsets.back());
  part.time_positions = condition.time_positions.narrow(0, *offset, part.text_offsets.back());
  return part;
}

Condition gather_condition(const at::Tensor& adapted, const std::vector<CaptionRows>& samples) {
  std::vector<int64_t> rows, positions;
  Condition condition;
  condition.text_offsets.push_back(0);
  for (const CaptionRows& sample : samples) {
    for (int64_t i = 0; i < sample.num_tokens; ++i) {
      rows.push_back(sample.row_begin + i);
      positions.push_back(i);
    }
    condition.text_offsets.push_back(static_cast<int64_t>(rows.size()));
  }
  condition.time_positions = at::tensor(positions, at::kLong).to(adapted.device());
  condition.text_tokens = adapted.index_select(0, at::tensor(rows, at::kLong).to(adapted.device()));
  return condition;
}

Condition condition_from_padded(const at::Tensor& adapted, const at::Tensor& mask) {
  const int64_t B = adapted.size(0), T = adapted.size(1);
  const at::Tensor valid =
      mask.defined() ? mask.to(at::kCPU) != 0 : (at::arange(B * T) >= 0).view({B, T});
  const at::Tensor indices = at::nonzero(valid);  // (N - M, 2): sample, position; sorted
  Condition condition;
  condition.text_offsets.push_back(0);
  for (int64_t b = 0; b < B; ++b) {
    condition.text_offsets.push_back(condition.text_offsets.back() +
                                     valid[b].sum().item<int64_t>());
  }
  condition.time_positions = indices.select(1, 1).contiguous().to(adapted.device());
  const at::Tensor rows = (indices.select(1, 0) * T + indices.select(1, 1)).to(adapted.device());
  condition.text_tokens = adapted.flatten(0, 1).index_select(0, rows);
  return condition;
}

Layout make_layout(const DualStream& model, int64_t latent_height, int64_t latent_width,
                   const Condition& condition) {
  const ModelConfig& config = model.config;
  check_user(latent_height > 0 && latent_width > 0 && latent_height % config.patch_size == 0 &&
                 latent_width % config.patch_size == 0,
             "latents of ", latent_height, "x", latent_width, " cannot be cut into patches of ",
             config.patch_size);
  Layout layout;
  layout.num_samples = condition.num_samples();
  layout.rows = latent_height / config.patch_size;
  layout.columns = latent_width / config.patch_size;
  const int64_t I = layout.rows * layout.columns;
  layout.num_image_rows = layout.num_samples * I;
  std::vector<int64_t> num_text;
  for (int64_t b = 0; b < layout.num_samples; ++b) {
    const int64_t begin = condition.text_offsets[b], count = condition.text_offsets[b + 1] - begin;
    layout.segments.push_back({b * I, I, layout.num_image_rows + begin, count});
    num_text.push_back(count);
  }
  const at::Device device = model.patch_embed.weight.device();
  RopeTables tables = model.rope_embedder;
  at::Tensor pos_embed = model.pos_embed;
  if (latent_height != config.latent_size || latent_width != config.latent_size) {
    const double side = std::sqrt(static_cast<double>(I));  // of the square of as many tokens
    const double scale = config.position_scale() * static_cast<double>(config.grid_size()) / side;
    const auto first_of = [&](int64_t count) { return (side - static_cast<double>(count)) / 2; };
    const std::array<double, 2> first = {first_of(layout.rows), first_of(layout.columns)};
    tables = make_rope_tables(config, layout.rows, layout.columns, scale, first);
    pos_embed = make_pos_embed(config.hidden_size, layout.rows, layout.columns, scale, first);
  }
  for_each_tensor(tables, "", [&](const std::string&, at::Tensor& table) {
    table = table.to(device, at::kFloat);
  });
  layout.angles =
      rope_angles(tables, layout.rows, layout.columns, at::tensor(num_text, at::kLong).to(device),
                  condition.time_positions.to(device));
  layout.pos_embed = pos_embed.squeeze(0).to(device, model.patch_embed.weight.scalar_type());
  return layout;
}

at::Tensor velocity(const DualStream& model, const at::Tensor& x_t, const Condition& condition,
                    const Layout& layout, const Observer* observer) {
  const int64_t B = x_t.size(0), M = layout.num_image_rows, P = model.config.patch_size;
  const at::Tensor& weight = model.patch_embed.weight;
  const at::Tensor patches = patchify(x_t.to(weight.scalar_type()), P);                // (M, C P P)
  at::Tensor tokens = i1::linear(patches, weight.flatten(1), model.patch_embed.bias);  // (M, D)
  observe(observer, "patch_embed", tokens);
  tokens =
      (tokens.view({B, -1, model.config.hidden_size}) + layout.pos_embed).flatten(0, 1);  // (M, D)
  observe(observer, "tokens_plus_pos", tokens);
  at::Tensor x = at::cat({tokens, condition.text_tokens.to(tokens.scalar_type())});  // (N, D)
  x = run_blocks(model, x, layout, observer);                                        // (>= M, D)
  x = apply(model.norm_final, x.narrow(0, 0, M));                                    // (M, D)
  observe(observer, "final.norm", x);
  x = apply(model.final_linear, x);  // (M, P P C)
  observe(observer, "final.tokens", x);
  return unpatchify(x, layout, P).to(at::kFloat);  // (B, C, h, w)
}

}  // namespace i1
