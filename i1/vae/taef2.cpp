#include "i1/vae/taef2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/upsample_nearest2d.h>

#include "i1/vae/bands.h"

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

// One run of the decoder, which is one list of layers: 0 to 2 the start, 5 a level, 2 the end.
struct DecoderPass {
  const TaeDecoder& net;
  const Observer* observer;

  static std::string name(int index) { return "decoder." + std::to_string(index); }

  at::Tensor seen(int index, at::Tensor x) const {
    observe(observer, name(index), x);
    return x;
  }

  at::Tensor start(const at::Tensor& latents) const {
    const at::Tensor x = seen(0, 3 * at::tanh(latents / 3));   // (B, 32, h, w)
    return seen(2, at::relu(seen(1, apply(net.conv_in, x))));  // (B, 64, h, w)
  }

  at::Tensor level(int level, at::Tensor x) const {
    for (int i = 0; i < 3; ++i)
      x = apply(net.blocks[level][i], x, observer, name(3 + 5 * level + i));
    return x;
  }

  at::Tensor enlarge(int level, const at::Tensor& x) const {
    const at::Tensor large = seen(
        6 + 5 * level, at::upsample_nearest2d(x, at::IntArrayRef{2 * x.size(2), 2 * x.size(3)}));
    return seen(7 + 5 * level, apply(net.upsample[level], large));  // (B, 64, 2h, 2w)
  }

  at::Tensor end(const at::Tensor& x) const {
    const at::Tensor y = apply(net.last, x, observer, name(18));
    return seen(19, apply(net.conv_out, y));  // (B, 3, 8h, 8w)
  }
};

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
  const DecoderPass pass{decoder, observer};
  at::Tensor x = pass.level(0, pass.start(latents));
  x = pass.level(1, pass.enlarge(0, x));
  x = pass.level(2, pass.enlarge(1, x));
  return pass.end(pass.enlarge(2, x));
}

at::Tensor decode_in_bands(const TaeDecoder& decoder, const at::Tensor& latents,
                           int64_t band_rows) {
  const DecoderPass pass{decoder, nullptr};
  const auto enlarge = [&](int level) {
    return BandLayer{[=](const at::Tensor& band) { return pass.enlarge(level, band); }, 1, 2};
  };
  const auto blocks = [&](int level) {
    return BandLayer{[=](const at::Tensor& band) { return pass.level(level, band); }, 3 * 3};
  };
  const BandLayer end{[&](const at::Tensor& band) { return pass.end(band); }, 3 + 1};
  at::Tensor x = pass.level(0, pass.start(latents));  // its norms see the whole map
  x = run_in_bands({enlarge(0), blocks(1)}, x, band_rows);
  x = run_in_bands({enlarge(1), blocks(2)}, x, band_rows);
  return run_in_bands({enlarge(2), end}, x, band_rows);
}

}  // namespace i1
