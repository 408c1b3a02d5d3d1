#include "i1/vae/qwen_image.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/chunk.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <cmath>

#include "i1/kernels/activation.h"
#include "i1/vae/bands.h"

namespace i1 {
namespace {

std::string level_name(size_t index) { return "decoder.up_blocks." + std::to_string(index); }

// One run of a network: what every block needs beside its weights.
struct Pass {
  const Observer* observer;

  at::Tensor norm(const PixelNorm& norm, const at::Tensor& x, const std::string& name) const {
    const at::Tensor length = at::clamp_min(at::linalg_vector_norm(x, 2, {1}, true), 1e-12);
    const double root = std::sqrt(static_cast<double>(x.size(1)));
    at::Tensor y = x / length * (norm.gamma * root).view({1, -1, 1, 1});
    observe(observer, name, y);
    return y;
  }

  at::Tensor conv(const Conv& conv, const at::Tensor& x, const std::string& name) const {
    at::Tensor y = apply(conv, x);
    observe(observer, name, y);
    return y;
  }

  at::Tensor resnet(const QwenResnetBlock& block, const at::Tensor& x,
                    const std::string& name) const {
    at::Tensor y =
        conv(block.conv1, i1::silu(norm(block.norm1, x, name + ".norm1")), name + ".conv1");
    y = conv(block.conv2, i1::silu(norm(block.norm2, y, name + ".norm2")), name + ".conv2");
    y = y + (block.conv_shortcut ? conv(*block.conv_shortcut, x, name + ".conv_shortcut") : x);
    observe(observer, name, y);
    return y;
  }

  at::Tensor attention(const QwenMidAttention& layer, const at::Tensor& x,
                       const std::string& name) const {
    const at::Tensor qkv =
        conv(layer.to_qkv, norm(layer.norm, x, name + ".norm"), name + ".to_qkv");  // (B, 3C, h, w)
    // Channels last, or the attention would store all (hw)^2 products.
    const at::Tensor pixels = qkv.flatten(2).transpose(1, 2).contiguous();       // (B, hw, 3C)
    const std::vector<at::Tensor> parts = at::chunk(pixels.unsqueeze(1), 3, 3);  // (B, 1, hw, C)
    const at::Tensor mixed = at::scaled_dot_product_attention(parts[0], parts[1], parts[2])
                                 .squeeze(1)
                                 .transpose(1, 2)
                                 .reshape(x.sizes());  // (B, C, h, w)
    at::Tensor y = x + conv(layer.proj, mixed, name + ".proj");
    observe(observer, name, y);
    return y;
  }

  at::Tensor middle(const QwenMidBlock& block, at::Tensor x, const std::string& name) const {
    x = resnet(block.resnets[0], x, name + ".resnets.0");
    x = attention(block.attentions[0], x, name + ".attentions.0");
    return resnet(block.resnets[1], x, name + ".resnets.1");
  }

  at::Tensor level(const QwenDecoder& net, size_t index, at::Tensor x) const {
    const std::vector<QwenResnetBlock>& blocks = net.up_blocks[index].resnets;
    for (size_t i = 0; i < blocks.size(); ++i)
      x = resnet(blocks[i], x, level_name(index) + ".resnets." + std::to_string(i));
    return x;
  }

  // Twice the size with half the channels, at the end of all levels but the last.
  at::Tensor enlarge(const QwenDecoder& net, size_t index, const at::Tensor& x) const {
    const at::Tensor large =
        at::upsample_nearest2d(x, at::IntArrayRef{2 * x.size(2), 2 * x.size(3)});
    return conv(*net.up_blocks[index].upsample, large, level_name(index) + ".upsamplers.0");
  }

  // What lies below the first enlargement: the attention sees the whole map.
  at::Tensor start(const QwenImageAutoencoder& vae, const at::Tensor& raw_latents) const {
    at::Tensor x = conv(vae.post_quant_conv, raw_latents, "post_quant_conv");
    x = conv(vae.decoder.conv_in, x, "decoder.conv_in");
    return middle(vae.decoder.mid_block, x, "decoder.mid_block");
  }

  at::Tensor end(const QwenDecoder& net, const at::Tensor& x) const {
    at::Tensor y = i1::silu(norm(net.norm_out, x, "decoder.norm_out"));
    y = conv(net.conv_out, y, "decoder.conv_out");  // (B, 3, 8h, 8w)
    return at::clamp(y, -1, 1) + (y - y);  // infinity becomes NaN, clamped it would pass for white
  }
};

PixelNorm make_norm(int64_t size) { return {make_affine(size).weight}; }

QwenResnetBlock make_resnet(int64_t in, int64_t out) {
  QwenResnetBlock block{make_norm(in), make_conv(in, out, 3), make_norm(out),
                        make_conv(out, out, 3), std::nullopt};
  if (in != out) block.conv_shortcut = make_conv(in, out, 1);
  return block;
}

QwenMidBlock make_middle(int64_t width) {
  return {{{make_norm(width), make_conv(width, 3 * width, 1), make_conv(width, width, 1)}},
          {make_resnet(width, width), make_resnet(width, width)}};
}

QwenEncoder make_encoder(const QwenImageConfig& config) {
  const size_t num_levels = config.dim_mult.size();
  QwenEncoder net;
  int64_t width = config.base_dim;
  net.conv_in = make_conv(config.input_channels, width, 3);
  for (size_t level = 0; level < num_levels; ++level) {
    for (int64_t i = 0; i < config.num_res_blocks; ++i) {
      const int64_t before = width;
      width = config.base_dim * config.dim_mult[level];
      net.down_blocks.push_back({make_resnet(before, width), std::nullopt});
    }
    if (level + 1 < num_levels)
      net.down_blocks.push_back({std::nullopt, make_conv(width, width, 3)});
  }
  net.mid_block = make_middle(width);
  net.norm_out = make_norm(width);
  net.conv_out = make_conv(width, 2 * config.z_dim, 3);
  return net;
}

QwenDecoder make_decoder(const QwenImageConfig& config) {
  const size_t num_levels = config.dim_mult.size();
  QwenDecoder net;
  int64_t width = config.base_dim * config.dim_mult.back();
  net.conv_in = make_conv(config.z_dim, width, 3);
  net.mid_block = make_middle(width);
  for (size_t level = 0; level < num_levels; ++level) {
    QwenDecoderLevel up;
    for (int64_t i = 0; i <= config.num_res_blocks; ++i) {
      const int64_t before = width;
      width = config.base_dim * config.dim_mult[num_levels - 1 - level];
      up.resnets.push_back(make_resnet(before, width));
    }
    if (level + 1 < num_levels) {
      up.upsample = make_conv(width, width / 2, 3);
      width /= 2;
    }
    net.up_blocks.push_back(std::move(up));
  }
  net.norm_out = make_norm(width);
  net.conv_out = make_conv(width, config.input_channels, 3);
  return net;
}

}  // namespace

QwenImageAutoencoder make_qwen_image(const QwenImageConfig& config) {
  return {config, make_encoder(config), make_decoder(config),
          make_conv(2 * config.z_dim, 2 * config.z_dim, 1),
          make_conv(config.z_dim, config.z_dim, 1)};
}

at::Tensor one_frame_of(const std::string& key, const at::Tensor& published) {
  if (key.find(".time_conv.") != std::string::npos) return {};
  const at::IntArrayRef shape = published.sizes();
  if (shape.size() == 5 && shape[2] == shape[3]) return published.select(2, shape[2] - 1);
  if (key.ends_with(".gamma") && published.numel() == shape[0]) return published.flatten();
  return published;
}

Moments encode(const QwenImageAutoencoder& vae, const at::Tensor& images,
               const Observer* observer) {
  const QwenEncoder& net = vae.encoder;
  const Pass pass{observer};
  at::Tensor x = pass.conv(net.conv_in, images, "encoder.conv_in");  // (B, C0, H, W)
  for (size_t i = 0; i < net.down_blocks.size(); ++i) {
    const QwenEncoderStep& step = net.down_blocks[i];
    const std::string name = "encoder.down_blocks." + std::to_string(i);
    if (step.resnet) {
      x = pass.resnet(*step.resnet, x, name);
    } else {
      x = apply_halving(*step.downsample, x);
      observe(observer, name, x);  // (B, C, H/2, W/2), ...
    }
  }
  x = pass.middle(net.mid_block, x, "encoder.mid_block");
  x = i1::silu(pass.norm(net.norm_out, x, "encoder.norm_out"));
  x = pass.conv(net.conv_out, x, "encoder.conv_out");  // (B, 2C, H/8, W/8)
  return split_moments(pass.conv(vae.quant_conv, x, "quant_conv"));
}

at::Tensor decode(const QwenImageAutoencoder& vae, const at::Tensor& raw_latents,
                  const Observer* observer) {
  const QwenDecoder& net = vae.decoder;
  const Pass pass{observer};
  at::Tensor x = pass.level(net, 0, pass.start(vae, raw_latents));
  for (size_t level = 1; level < net.up_blocks.size(); ++level)
    x = pass.level(net, level, pass.enlarge(net, level - 1, x));
  return pass.end(net, x);
}

at::Tensor decode_in_bands(const QwenImageAutoencoder& vae, const at::Tensor& raw_latents,
                           int64_t band_rows) {
  const QwenDecoder& net = vae.decoder;
  const Pass pass{nullptr};
  at::Tensor x = pass.level(net, 0, pass.start(vae, raw_latents));
  const size_t num_levels = net.up_blocks.size();
  for (size_t level = 1; level < num_levels; ++level) {
    const auto num_convs = 2 * static_cast<int64_t>(net.up_blocks[level].resnets.size());
    std::vector<BandLayer> layers = {
        {[&](const at::Tensor& band) { return pass.enlarge(net, level - 1, band); }, 1, 2},
        {[&](const at::Tensor& band) { return pass.level(net, level, band); }, num_convs}};
    if (level + 1 == num_levels)
      layers.push_back({[&](const at::Tensor& band) { return pass.end(net, band); }, 1});
    x = run_in_bands(layers, x, band_rows);
  }
  return x;
}

}  // namespace i1
