// TAEF2: a tiny autoencoder of the FLUX.2 latent space (Ollin Boer Bohan, MIT). It encodes to and
// decodes from i1's *normalised* latent directly: no latent scaling, no packing. Pixels are in [0,
// 1] on both sides.
#pragma once

#include <array>
#include <optional>

#include "i1/core/observer.h"
#include "i1/vae/conv.h"

namespace i1 {

/// Context over the whole map: conv 64 -> 256, GroupNorm(4), ReLU, conv 256 -> 64. Because the norm
/// sees the whole map, tiles of a latent decode to other pictures than the whole does.
struct TaePool {
  ConvNoBias expand;
  Affine norm;
  ConvNoBias project;

  static void fields(auto& self, auto&& visit) {
    visit("0", self.expand);
    visit("1", self.norm);
    visit("3", self.project);
  }
};

/// relu(x + conv(relu(conv(relu(conv(x))))), where x first gains its pooled context at the lowest
/// resolution.
struct TaeBlock {
  std::array<Conv, 3> convs;
  std::optional<TaePool> pool;

  static void fields(auto& self, auto&& visit) {
    visit("conv.0", self.convs[0]);
    visit("conv.2", self.convs[1]);
    visit("conv.4", self.convs[2]);
    visit("pool", self.pool);
  }
};

/// 1 block at full resolution, then three times: stride-2 convolution and 3 blocks.
struct TaeEncoder {
  Conv conv_in;
  TaeBlock first;
  std::array<ConvNoBias, 3> downsample;
  std::array<std::array<TaeBlock, 3>, 3> blocks;
  Conv conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("0", self.conv_in);
    visit("1", self.first);
    for (int level = 0; level < 3; ++level) {
      visit(std::to_string(2 + 4 * level).c_str(), self.downsample[level]);
      for (int i = 0; i < 3; ++i)
        visit(std::to_string(3 + 4 * level + i).c_str(), self.blocks[level][i]);
    }
    visit("14", self.conv_out);
  }
};

/// 3 tanh(x / 3), convolution, ReLU; three times: 3 blocks, nearest x2, convolution; 1 block,
/// convolution.
struct TaeDecoder {
  Conv conv_in;
  std::array<std::array<TaeBlock, 3>, 3> blocks;
  std::array<ConvNoBias, 3> upsample;
  TaeBlock last;
  Conv conv_out;

  static void fields(auto& self, auto&& visit) {
    visit("1", self.conv_in);
    for (int level = 0; level < 3; ++level) {
      for (int i = 0; i < 3; ++i)
        visit(std::to_string(3 + 5 * level + i).c_str(), self.blocks[level][i]);
      visit(std::to_string(7 + 5 * level).c_str(), self.upsample[level]);
    }
    visit("18", self.last);
    visit("19", self.conv_out);
  }
};

struct Taef2 {
  TaeEncoder encoder;
  TaeDecoder decoder;

  static void fields(auto& self, auto&& visit) {
    visit("encoder", self.encoder);
    visit("decoder", self.decoder);
  }
};

/// A Taef2 whose tensors have their shapes and no memory.
Taef2 make_taef2();

/// images (B, 3, H, W) in [0, 1], H and W multiples of 8 -> normalised latents (B, 32, H/8, W/8).
at::Tensor encode(const TaeEncoder& encoder, const at::Tensor& images,
                  const Observer* observer = nullptr);

/// normalised latents (B, 32, h, w) -> images (B, 3, 8h, 8w), about [0, 1], not clamped.
at::Tensor decode(const TaeDecoder& decoder, const at::Tensor& latents,
                  const Observer* observer = nullptr);

/// The same, `band_rows` rows of a level at a time (bands.h) but for the lowest level, where the
/// context is. Between two levels the smaller map is kept whole.
at::Tensor decode_in_bands(const TaeDecoder& decoder, const at::Tensor& latents, int64_t band_rows);

}  // namespace i1
