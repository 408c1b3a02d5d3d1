#include "i1/vae/taef2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/upsample_nearest2d.h>

namespace i1 {
namespace {

constexpr int64_t kWidth = 64, kPoolWidth = 256, kPoolGroups = 4, kLatentChannels = 32;
constexpr double kGroupNormEps = 1e-5;

at::Tensor context(const TaePool& pool, const at::Tensor& x, const Observer* observer,
                   const std::string& name) {
  at::Tensor y = apply(pool.expand, x);  // (B, 256, h, w)
  observe(observer, name + ".0", y);
  y = at::group_norm(y, kPoolGroups, pool.norm.weight, pool.norm.bias, kGroupNormEps);
  observe(observer, name + ".1", y);
  y = apply(pool.project, at::relu(y));  // (B, 64, h, w)
  observe(observer, name, y);
  return y;
}

at::Tensor apply(const TaeBlock& block, at::Tensor x, const Observer* observer,
                 const std::string& name) {
  if (block.pool) x = x + context(*block.pool, x, observer, name + ".pool");
  at::Tensor y = at::relu(apply(block.convs[0], x));
  y = at::relu(apply(block.convs[1], y));
  y = at::relu(apply(block.convs[2], y) + x);  // (B, 64, h, w)
  observe(observer, name, y);
  return y;
}

TaeBlock make_block(bool has_pool) {
  TaeBlock block;
  for (Conv& conv : block.convs) conv = make_conv(kWidth, kWidth, 3);
  if (has_pool) {
    block.pool = TaePool{make_conv_no_bias(kWidth, kPoolWidth, 1), make_affine(kPoolWidth),
                         make_conv_no_bias(kPoolWidth, kWidth, 1)};
  }
  return block;
}

}  // namespace

Taef2 make_taef2() {
  Taef2 vae;
  vae.encoder.conv_in = make_conv(3, kWidth, 3);
  vae.encoder.first = make_block(false);
  vae.encoder.conv_out = make_conv(kWidth, kLatentChannels, 3);
  vae.decoder.conv_in = make_conv(kLatentChannels, kWidth, 3);
  vae.decoder.last = make_block(false);
  vae.decoder.conv_out = make_conv(kWidth, 3, 3);
  for (int level = 0; level < 3; ++level) {
    vae.encoder.downsample[level] = make_conv_no_bias(kWidth, kWidth, 3);
    vae.decoder.upsample[level] = make_conv_no_bias(kWidth, kWidth, 3);
    // Only the blocks at the lowest resolution pool: the encoder's last level, the decoder's first.
    for (int i = 0; i < 3; ++i) {
      vae.encoder.blocks[level][i] = make_block(level == 2);
      vae.decoder.blocks[level][i] = make_block(level == 0);
    }
  }
  return vae;
}

at::Tensor encode(const TaeEncoder& encoder, const at::Tensor& images, const Observer* observer) {
  const auto name = [](int index) { return "encoder." + std::to_string(index); };
  const auto seen = [&](int index, const at::Tensor& x) { observe(observer, name(index), x); };
  at::Tensor x = apply(encoder.conv_in, images);  // (B, 64, H, W)
  seen(0, x);
  x = apply(encoder.first, x, observer, name(1));
  for (int level = 0; level < 3; ++level) {
    x = apply(encoder.downsample[level], x, /*stride=*/2);  // (B, 64, H/2, W/2), ...
    seen(2 + 4 * level, x);
    for (int i = 0; i < 3; ++i) {
      x = apply(encoder.blocks[level][i], x, observer, name(3 + 4 * level + i));
    }
  }
  x = apply(encoder.conv_out, x);  // (B, 32, H/8, W/8)
  seen(14, x);
  return x;
}

at::Tensor decode(const TaeDecoder& decoder, const at::Tensor& latents, const Observer* observer) {
  const auto name = [](int index) { return "decoder." + std::to_string(index); };
  const auto seen = [&](int index, const at::Tensor& x) { observe(observer, name(index), x); };
  at::Tensor x = 3 * at::tanh(latents / 3);  // (B, 32, h, w)
  seen(0, x);
  x = apply(decoder.conv_in, x);  // (B, 64, h, w)
  seen(1, x);
  x = at::relu(x);
  seen(2, x);
  for (int level = 0; level < 3; ++level) {
    for (int i = 0; i < 3; ++i) {
      x = apply(decoder.blocks[level][i], x, observer, name(3 + 5 * level + i));
    }
    x = at::upsample_nearest2d(x,
                               at::IntArrayRef{2 * x.size(2), 2 * x.size(3)});  // (B, 64, 2h, 2w)
    seen(6 + 5 * level, x);
    x = apply(decoder.upsample[level], x);
    seen(7 + 5 * level, x);
  }
  x = apply(decoder.last, x, observer, name(18));
  x = apply(decoder.conv_out, x);  // (B, 3, 8h, 8w)
  seen(19, x);
  return x;
}

}  // namespace i1
