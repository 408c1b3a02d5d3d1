// The autoencoder of Qwen-Image (Wu et al. 2025) for one frame, key names as published for
// diffusers. Pixels are in [-1, 1]; latents here are raw: see latent_scaling.h for i1's normalised
// ones.
//
// Where it departs from the textbook: the published network is a causal one over frames, with two
// frames of zeros in front of the first. A single frame therefore meets only the last temporal tap
// of each 3x3x3 kernel, and the `time_conv` layers nothing: what is left is the plain 2-D network
// below. Norms are RMS norms over a pixel's channels, so that no layer outside the middle attention
// looks further than its kernel. The downsampling convolution pads one row and column at the bottom
// and right only. The decoder's output is clamped.
#pragma once

#include <optional>
#include <vector>

#include "i1/core/observer.h"
#include "i1/vae/conv.h"
#include "i1/vae/moments.h"

namespace i1 {

struct QwenImageConfig {
  int64_t base_dim = 96;
  int64_t z_dim = 16;
  std::vector<int64_t> dim_mult = {1, 2, 4, 4};  ///< width of a level, in base_dim
  int64_t num_res_blocks = 2;  ///< residual blocks an encoder level; the decoder has one more
  int64_t input_channels = 3;
  std::vector<double> attn_scales;  ///< levels with an attention of their own: none
  std::vector<double> latents_mean = {-0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,
                                      -0.1517, 1.5508,  0.4134,  -0.0715, 0.5517,  -0.3632,
                                      -0.1922, -0.9497, 0.2503,  -0.2921};
  std::vector<double> latents_std = {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                                     3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.916};

  static void fields(auto& self, auto&& visit) {
    visit("base_dim", self.base_dim);
    visit("z_dim", self.z_dim);
    visit("dim_mult", self.dim_mult);
    visit("num_res_blocks", self.num_res_blocks);
    visit("input_channels", self.input_channels);
    visit("attn_scales", self.attn_scales);
    visit("latents_mean", self.latents_mean);
    visit("latents_std", self.latents_std);
  }
};

/// x / max(||x||, 1e-12) * sqrt(C) * gamma over the channels of a pixel.
struct PixelNorm {
  at::Tensor gamma;  ///< (C)

  static void fields(auto& self, auto&& visit) { visit("gamma", self.gamma); }
};

/// conv2(silu(norm2(conv1(silu(norm1(x)))))) + x, x through a 1x1 convolution where the width
/// changes.
struct QwenResnetBlock {
  PixelNorm norm1;
  Conv conv1;
  PixelNorm norm2;
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

struct QwenMidAttention {
  PixelNorm norm;
  Conv to_qkv, proj;  ///< 1x1

  static void fields(auto& self, auto&& visit) {
    visit("norm", self.norm);
    visit("to_qkv", self.to_qkv);
    visit("proj", self.proj);
  }
};

struct QwenMidBlock {
  std::vector<QwenMidAttention> attentions;  ///< one
  std::vector<QwenResnetBlock> resnets;      ///< two: before and after the attention

  static void fields(auto& self, auto&& visit) {
    visit("attentions", self.attentions);
    visit("resnets", self.resnets);
  }
};

/// One of the two: the encoder's levels are a flat list of residual blocks and downsamplers.
struct QwenEncoderStep {
  std::optional<QwenResnetBlock> resnet;
  std::optional<Conv> downsample;

  static void fields(auto& self, auto&& visit) {
    visit("", self.resnet);
    visit("resample.1", self.downsample);
  }
};

struct QwenDecoderLevel {
  std::vector<QwenResnetBlock> resnets;
  std::optional<Conv> upsample;  ///< halves the channels

  static void fields(auto& self, auto&& visit) {
    visit("resnets", self.resnets);
    visit("upsamplers.0.resample.1", self.upsample);
  }
};

struct QwenEncoder {
  Conv conv_in;
  std::vector<QwenEncoderStep> down_blocks;
  QwenMidBlock mid_block;
  PixelNorm norm_out;
  Conv conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("down_blocks", self.down_blocks);
    visit("mid_block", self.mid_block);
    visit("norm_out", self.norm_out);
    visit("conv_out", self.conv_out);
  }
};

struct QwenDecoder {
  Conv conv_in;
  std::vector<QwenDecoderLevel> up_blocks;
  QwenMidBlock mid_block;
  PixelNorm norm_out;
  Conv conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("conv_in", self.conv_in);
    visit("up_blocks", self.up_blocks);
    visit("mid_block", self.mid_block);
    visit("norm_out", self.norm_out);
    visit("conv_out", self.conv_out);
  }
};

struct QwenImageAutoencoder {
  QwenImageConfig config;
  QwenEncoder encoder;
  QwenDecoder decoder;
  Conv quant_conv, post_quant_conv;

  static void fields(auto& self, auto&& visit) {
    visit("encoder", self.encoder);
    visit("decoder", self.decoder);
    visit("quant_conv", self.quant_conv);
    visit("post_quant_conv", self.post_quant_conv);
  }
};

/// A QwenImageAutoencoder whose tensors have their shapes and no memory.
QwenImageAutoencoder make_qwen_image(const QwenImageConfig& config);

/// What a single frame needs of a published tensor: the last temporal tap of a kernel (o, i, 3, k,
/// k) or (o, i, 1, 1, 1), a norm's (C, 1, 1, 1) or (C, 1, 1) as (C), nothing (an undefined tensor)
/// of a `time_conv`. Tensors of other shapes pass as they are.
at::Tensor one_frame_of(const std::string& key, const at::Tensor& published);

/// images (B, 3, H, W) in [-1, 1], H and W multiples of 8 -> raw latents (B, C, H/8, W/8).
Moments encode(const QwenImageAutoencoder& vae, const at::Tensor& images,
               const Observer* observer = nullptr);

/// raw latents (B, C, h, w) -> images (B, 3, 8h, 8w), clamped to [-1, 1].
at::Tensor decode(const QwenImageAutoencoder& vae, const at::Tensor& raw_latents,
                  const Observer* observer = nullptr);

/// The same, `band_rows` rows of a level at a time (bands.h): no layer behind the middle block
/// looks further than its kernel. Between two levels the smaller map is kept whole.
at::Tensor decode_in_bands(const QwenImageAutoencoder& vae, const at::Tensor& raw_latents,
                           int64_t band_rows);

}  // namespace i1
