// The i1 backbone: a dual-stream diffusion transformer without timestep conditioning (paper, sec.
// 3).
//
//   x += norm3(attention(norm1(x)));  x += norm4(ffn(norm2(x)))      a block, both streams
//
// Where it departs from MMDiT (Esser et al. 2024):
//   - no AdaLN: the model is not told the time t, it reads the noise level off the latents;
//   - the streams have their own projections and FFNs but share their norms, which stand before and
//   after each layer;
//   - U-ViT long skips: out-block i first maps [x | output of in-block depth/2 - 1 - i] back to D;
//   - text tokens come from an adapter (adapter.h); after it padding is dropped, since it can reach
//   nothing.
//
// All tokens of a batch lie in one packed buffer: rows [0, M) are the image tokens of the B
// samples, one sample after the other, rows [M, N) their valid text tokens. Norms run over the
// buffer, linear layers over its two parts, attention over the rows of each sample.
//
// Legend: B samples, C latent channels, h x w latent, P patch_size, I = hw / P^2 image tokens a
// sample, M = B I, N rows, D hidden_size, H heads, E head_dim, F ffn_size.
#pragma once

#include <vector>

#include "i1/core/observer.h"
#include "i1/kernels/attention.h"
#include "i1/model/adapter.h"
#include "i1/model/components.h"
#include "i1/model/positions.h"

namespace i1 {

struct JointAttention {
  Linear qkv_image, qkv_text;          ///< D -> 3D
  std::optional<Norm> q_norm, k_norm;  ///< over head_dim, both streams
  std::optional<Norm> q_norm_image, k_norm_image, q_norm_text,
      k_norm_text;               ///< with use_separate_qk_norms
  Linear proj_image, proj_text;  ///< D -> D

  static void fields(auto& self, auto&& visit) {
    visit("qkv_image", self.qkv_image);
    visit("qkv_text", self.qkv_text);
    visit("q_norm", self.q_norm);
    visit("k_norm", self.k_norm);
    visit("q_norm_image", self.q_norm_image);
    visit("k_norm_image", self.k_norm_image);
    visit("q_norm_text", self.q_norm_text);
    visit("k_norm_text", self.k_norm_text);
    visit("proj_image", self.proj_image);
    visit("proj_text", self.proj_text);
  }
};

struct Block {
  std::optional<Linear> skip_linear_image, skip_linear_text;  ///< 2D -> D, out-blocks only
  std::optional<Norm> norm1, norm1_image, norm1_text;         ///< one for both streams or one each
  std::optional<Norm> norm2, norm2_image, norm2_text;
  std::optional<Norm> norm3, norm4;  ///< sandwich norms, always shared
  JointAttention attn;
  Ffn mlp_image, mlp_text;

  static void fields(auto& self, auto&& visit) {
    visit("skip_linear_image", self.skip_linear_image);
    visit("skip_linear_text", self.skip_linear_text);
    visit("norm1", self.norm1);
    visit("norm1_image", self.norm1_image);
    visit("norm1_text", self.norm1_text);
    visit("norm2", self.norm2);
    visit("norm2_image", self.norm2_image);
    visit("norm2_text", self.norm2_text);
    visit("norm3", self.norm3);
    visit("norm4", self.norm4);
    visit("attn", self.attn);
    visit("mlp_image", self.mlp_image);
    visit("mlp_text", self.mlp_text);
  }
};

/// Weights that checkpoints hold and this model never uses.
struct TimestepEmbedder {
  Linear linear1, linear2;

  static void fields(auto& self, auto&& visit) {
    visit("linear1", self.linear1);
    visit("linear2", self.linear2);
  }
};

struct DualStream {
  ModelConfig config;
  at::Tensor pos_embed;  ///< (1, grid^2, D), frozen
  Linear patch_embed;    ///< (D, C, P, P): a convolution whose stride is its size
  std::optional<TimestepEmbedder> t_embedder;  ///< absent where a file leaves it out
  Adapter text_encoder_adapter;
  RopeTables rope_embedder;  ///< frozen
  std::vector<Block> in_blocks;
  std::optional<Block> mid_block;
  std::vector<Block> out_blocks;
  std::vector<Block> blocks;  ///< instead of the three above, without long skips
  Norm norm_final;
  Linear final_linear;  ///< D -> P P C, ordered (row in patch, column in patch, channel)

  static void fields(auto& self, auto&& visit) {
    visit("pos_embed", self.pos_embed);
    visit("x_embedder.proj", self.patch_embed);
    visit("t_embedder", self.t_embedder);
    visit("text_encoder_adapter", self.text_encoder_adapter);
    visit("rope_embedder", self.rope_embedder);
    visit("in_blocks", self.in_blocks);
    visit("mid_block", self.mid_block);
    visit("out_blocks", self.out_blocks);
    visit("blocks", self.blocks);
    visit("final_layer.norm_final", self.norm_final);
    visit("final_layer.linear", self.final_linear);
  }
};

/// A model whose tensors have shapes and no memory (meta device), but for pos_embed and the RoPE
/// tables, which follow from the config. Throws UserError for an impossible config.
DualStream make_dual_stream(const ModelConfig& config);

/// Tables are part of a checkpoint but not trained.
bool is_frozen(const std::string& key);

/// What the backbone reads of the captions: the adapter's rows of valid tokens, one entry a sample.
struct Condition {
  at::Tensor text_tokens;             ///< (N - M, D)
  std::vector<int64_t> text_offsets;  ///< (B + 1): rows of sample b in text_tokens
  at::Tensor time_positions;          ///< (N - M) int64: a token's index in its padded caption

  int64_t num_samples() const { return static_cast<int64_t>(text_offsets.size()) - 1; }  ///< B
};

/// Of the `count` samples from `begin` on. Shares their memory.
Condition narrow(const Condition& condition, int64_t begin, int64_t count);

/// One sample's caption among adapted rows: its valid tokens are `num_tokens` rows from `row_begin`
/// on.
struct CaptionRows {
  int64_t row_begin = 0, num_tokens = 0;
};

/// adapted: (R, D). A caption may serve any number of samples, and the null caption's rows any
/// mask.
Condition gather_condition(const at::Tensor& adapted, const std::vector<CaptionRows>& samples);

/// adapted: (B, T, D); mask: (B, T), nonzero = valid, holes allowed; undefined = all valid.
Condition condition_from_padded(const at::Tensor& adapted, const at::Tensor& mask);

/// All that depends on shapes and captions but not on the latents: made once for all steps of a
/// picture.
struct Layout {
  int64_t num_samples = 0, rows = 0, columns = 0;  ///< B; grid of image tokens
  int64_t num_image_rows = 0;                      ///< M
  std::vector<Segment> segments;                   ///< (B)
  RopeAngles angles;                               ///< (N, E / 2)
  at::Tensor pos_embed;                            ///< (I, D) in the dtype of the weights
};

/// latent_height, latent_width: multiples of the patch size. Positions of a size other than the
/// model's square are scaled as those of a square of as many tokens, and count from where its
/// middle is the middle of that square: else the subject of a wide picture stands in its left half.
Layout make_layout(const DualStream& model, int64_t latent_height, int64_t latent_width,
                   const Condition& condition);

/// The velocity of x_t under `condition`. x_t: (B, C, h, w), any float dtype; computed in the dtype
/// of the weights. Returns (B, C, h, w) float32. Differentiable.
at::Tensor velocity(const DualStream& model, const at::Tensor& x_t, const Condition& condition,
                    const Layout& layout, const Observer* observer = nullptr);

}  // namespace i1
