// The autoencoder of FLUX.1 and FLUX.2 (a KL autoencoder as in Rombach et al. 2022, sec. 3.1), key
// names as published for diffusers. Pixels are in [-1, 1]; latents here are raw: see
// latent_scaling.h for i1's normalised ones.
//
// Where it departs from the textbook: the downsampling convolution pads one row and column at the
// bottom and right only; GroupNorm eps is 1e-6; the middle attention has one head as wide as its
// channels.
#pragma once

#include <optional>
#include <vector>

#include "i1/core/observer.h"
#include "i1/vae/conv.h"
#include "i1/vae/moments.h"

namespace i1 {

inline constexpr double kFluxNormEps = 1e-6;  ///< of every GroupNorm

struct AutoencoderConfig {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  std::vector<int64_t> block_out_channels = {128, 256, 512, 512};
  int64_t layers_per_block = 2;  ///< residual blocks an encoder level; the decoder has one more
  int64_t latent_channels = 32;
  int64_t norm_num_groups = 32;
  bool use_quant_conv = true;
  bool use_post_quant_conv = true;

  static void fields(auto& self, auto&& visit) {
    visit("in_channels", self.in_channels);
    visit("out_channels", self.out_channels);
    visit("block_out_channels", self.block_out_channels);
    visit("layers_per_block", self.layers_per_block);
    visit("latent_channels", self.latent_channels);
    visit("norm_num_groups", self.norm_num_groups);
    visit("use_quant_conv", self.use_quant_conv);
    visit("use_post_quant_conv", self.use_post_quant_conv);
  }
};

/// x + conv2(silu(norm2(conv1(silu(norm1(x)))))), x through a 1x1 convolution where the width
/// changes.
struct ResnetBlock {
  Affine norm1;
  Conv conv1;
  Affine norm2;
  Conv conv2;
  std::optional<Conv> conv_shortcut;

  static void fields(auto& self, auto&& visit) {
    visit("norm1", self.norm1);
    visit("conv1", self.conv1);
    visit("norm2", self.norm2);
    visit("conv2", self.conv2);
    visit("conv_shortcut", self.conv_shortcut);
  }
};

struct MidAttention {
  Affine group_norm, to_q, to_k, to_v, to_out;

  static void fields(auto& self, auto&& visit) {
    visit("group_norm", self.group_norm);
    visit("to_q", self.to_q);
    visit("to_k", self.to_k);
    visit("to_v", self.to_v);
    visit("to_out.0", self.to_out);
  }
};

struct MidBlock {
  std::vector<MidAttention> attentions;  ///< one
  std::vector<ResnetBlock> resnets;      ///< two: before and after the attention

  static void fields(auto& self, auto&& visit) {
    visit("attentions", self.attentions);
    visit("resnets", self.resnets);
  }
};

struct EncoderLevel {
  std::vector<ResnetBlock> resnets;
  std::optional<Conv> downsample;

  static void fields(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("downsamplers.0.conv", self.downsample);
  }
};

struct DecoderLevel {
  std::vector<ResnetBlock> resnets;
  std::optional<Conv> upsample;

  static void fields(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("upsamplers.0.conv", self.upsample);
  }
};

struct Encoder {
  Conv conv_in;
  std::vector<EncoderLevel> down_blocks;
  MidBlock mid_block;
  Affine conv_norm_out;
  Conv conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("down_blocks", self.down_blocks);
    visit("mid_block", self.mid_block);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }
};

struct Decoder {
  Conv conv_in;
  std::vector<DecoderLevel> up_blocks;
  MidBlock mid_block;
  Affine conv_norm_out;
  Conv conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("up_blocks", self.up_blocks);
    visit("mid_block", self.mid_block);
    visit("conv_norm_out", self.conv_norm_out);
    visit("conv_out", self.conv_out);
  }
};

struct Autoencoder {
  AutoencoderConfig config;
  Encoder encoder;
  Decoder decoder;
  std::optional<Conv> quant_conv, post_quant_conv;  ///< FLUX.2 has both, FLUX.1 neither

  static void fields(auto& self, auto&& visit) {
    visit("encoder", self.encoder);
    visit("decoder", self.decoder);
    visit("quant_conv", self.quant_conv);
    visit("post_quant_conv", self.post_quant_conv);
  }
};

/// An Autoencoder whose tensors have their shapes and no memory.
Autoencoder make_autoencoder(const AutoencoderConfig& config);

/// images (B, 3, H, W) in [-1, 1], H and W multiples of 8.
Moments encode(const Autoencoder& vae, const at::Tensor& images,
               const Observer* observer = nullptr);

/// raw latents (B, C, h, w) -> images (B, 3, 8h, 8w), about [-1, 1], not clamped.
at::Tensor decode(const Autoencoder& vae, const at::Tensor& raw_latents,
                  const Observer* observer = nullptr);

/// The part of `decode` at the latents' resolution: up to the middle block's end. (B, C0, h, w).
at::Tensor decode_middle(const Autoencoder& vae, const at::Tensor& raw_latents,
                         const Observer* observer = nullptr);

/// What `decode` gives but for rounding, in a fraction of its memory: see flux2_bands.cpp.
at::Tensor decode_in_bands(const Autoencoder& vae, const at::Tensor& raw_latents,
                           int64_t band_rows);

}  // namespace i1
