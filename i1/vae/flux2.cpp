#include "i1/vae/flux2.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <algorithm>

#include "i1/core/memory.h"
#include "i1/kernels/linear.h"
#include "i1/kernels/map_norm.h"

namespace i1 {
namespace {

// One run of a network: what every block needs beside its weights.
struct Pass {
  int64_t num_groups;
  const Observer* observer;

  MapNorm statistics(const Affine& affine, const at::Tensor& x) const {
    return map_norm(x, affine.weight, affine.bias, num_groups, kFluxNormEps);
  }

  at::Tensor norm(const Affine& affine, const at::Tensor& x, const std::string& name) const {
    at::Tensor y = apply(statistics(affine, x), x);
    observe(observer, name, y);
    return y;
  }

  at::Tensor silu_of_norm(const Affine& affine, const at::Tensor& x,
                          const std::string& name) const {
    const MapNorm known = statistics(affine, x);
    if (observer != nullptr) observe(observer, name, apply(known, x));
    return apply_silu(known, x);
  }

  at::Tensor conv(const Conv& conv, const at::Tensor& x, const std::string& name) const {
    at::Tensor y = apply(conv, x);
    observe(observer, name, y);
    return y;
  }

  at::Tensor linear(const Affine& layer, const at::Tensor& x, const std::string& name) const {
    at::Tensor y = i1::linear(x, layer.weight, layer.bias);
    observe(observer, name, y);
    return y;
  }

  at::Tensor resnet(const ResnetBlock& block, const at::Tensor& x, const std::string& name) const {
    at::Tensor y =
        conv(block.conv1, silu_of_norm(block.norm1, x, name + ".norm1"), name + ".conv1");
    y = conv(block.conv2, silu_of_norm(block.norm2, y, name + ".norm2"), name + ".conv2");
    y = sum(std::move(y),
            block.conv_shortcut ? conv(*block.conv_shortcut, x, name + ".conv_shortcut") : x);
    observe(observer, name, y);
    return y;
  }

  // In y's place, unless an observer has it.
  at::Tensor sum(at::Tensor y, const at::Tensor& x) const {
    return observer == nullptr ? y.add_(x) : y + x;
  }

  at::Tensor attention(const MidAttention& layer, const at::Tensor& x,
                       const std::string& name) const {
    const at::Tensor pixels =
        norm(layer.group_norm, x, name + ".group_norm").flatten(2).transpose(1, 2);  // (B, hw, C)
    const at::Tensor q = linear(layer.to_q, pixels, name + ".to_q");                 // (B, hw, C)
    const at::Tensor k = linear(layer.to_k, pixels, name + ".to_k");
    const at::Tensor v = linear(layer.to_v, pixels, name + ".to_v");
    const at::Tensor mixed = at::scaled_dot_product_attention(q.unsqueeze(1), k.unsqueeze(1),
                                                              v.unsqueeze(1))
                                 .squeeze(1);  // (B, hw, C)
    const at::Tensor y =
        x +
        linear(layer.to_out, mixed, name + ".to_out.0").transpose(1, 2).view_as(x);  // (B, C, h, w)
    observe(observer, name, y);
    return y;
  }

  at::Tensor middle(const MidBlock& block, at::Tensor x, const std::string& name) const {
    x = resnet(block.resnets[0], x, name + ".resnets.0");
    x = attention(block.attentions[0], x, name + ".attentions.0");
    return resnet(block.resnets[1], x, name + ".resnets.1");
  }

  at::Tensor resnets(const std::vector<ResnetBlock>& blocks, at::Tensor x,
                     const std::string& name) const {
    for (size_t i = 0; i < blocks.size(); ++i) {
      x = resnet(blocks[i], x, name + ".resnets." + std::to_string(i));
    }
    return x;
  }
};

std::vector<ResnetBlock> make_resnets(int64_t count, int64_t in, int64_t out) {
  std::vector<ResnetBlock> blocks;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t width = i == 0 ? in : out;
    ResnetBlock block{make_affine(width), make_conv(width, out, 3), make_affine(out),
                      make_conv(out, out, 3), std::nullopt};
    if (width != out) block.conv_shortcut = make_conv(width, out, 1);
    blocks.push_back(std::move(block));
  }
  return blocks;
}

MidBlock make_middle(int64_t width) {
  return {{MidAttention{make_affine(width), make_linear(width, width), make_linear(width, width),
                        make_linear(width, width), make_linear(width, width)}},
          make_resnets(2, width, width)};
}

}  // namespace

Autoencoder make_autoencoder(const AutoencoderConfig& config) {
  Autoencoder vae;
  vae.config = config;
  const std::vector<int64_t>& widths = config.block_out_channels;
  const int64_t num_levels = static_cast<int64_t>(widths.size()), latent = config.latent_channels;
  vae.encoder.conv_in = make_conv(config.in_channels, widths.front(), 3);
  vae.decoder.conv_in = make_conv(latent, widths.back(), 3);
  for (int64_t level = 0; level < num_levels; ++level) {
    const bool is_last = level + 1 == num_levels;
    const int64_t width = widths[level], before = widths[std::max<int64_t>(level - 1, 0)];
    EncoderLevel down{make_resnets(config.layers_per_block, before, width), std::nullopt};
    if (!is_last) down.downsample = make_conv(width, width, 3);
    vae.encoder.down_blocks.push_back(std::move(down));

    // The decoder runs the widths in reverse; a change of width happens in the first block of a
    // level.
    const int64_t up_width = widths[num_levels - 1 - level];
    const int64_t up_before = widths[num_levels - 1 - std::max<int64_t>(level - 1, 0)];
    DecoderLevel up{make_resnets(config.layers_per_block + 1, up_before, up_width), std::nullopt};
    if (!is_last) up.upsample = make_conv(up_width, up_width, 3);
    vae.decoder.up_blocks.push_back(std::move(up));
  }
  vae.encoder.mid_block = make_middle(widths.back());
  vae.encoder.conv_norm_out = make_affine(widths.back());
  vae.encoder.conv_out = make_conv(widths.back(), 2 * latent, 3);
  vae.decoder.mid_block = make_middle(widths.back());
  vae.decoder.conv_norm_out = make_affine(widths.front());
  vae.decoder.conv_out = make_conv(widths.front(), config.out_channels, 3);
  if (config.use_quant_conv) vae.quant_conv = make_conv(2 * latent, 2 * latent, 1);
  if (config.use_post_quant_conv) vae.post_quant_conv = make_conv(latent, latent, 1);
  return vae;
}

Moments encode(const Autoencoder& vae, const at::Tensor& images, const Observer* observer) {
  const Encoder& net = vae.encoder;
  const Pass pass{vae.config.norm_num_groups, observer};
  at::Tensor x = pass.conv(net.conv_in, images, "encoder.conv_in");  // (B, C0, H, W)
  for (size_t level = 0; level < net.down_blocks.size(); ++level) {
    const EncoderLevel& down = net.down_blocks[level];
    const std::string name = "encoder.down_blocks." + std::to_string(level);
    x = pass.resnets(down.resnets, std::move(x), name);
    if (!down.downsample) continue;
    x = apply_halving(*down.downsample, x);
    observe(observer, name + ".downsamplers.0", x);  // (B, C, H/2, W/2), ...
  }
  x = pass.middle(net.mid_block, x, "encoder.mid_block");
  x = pass.silu_of_norm(net.conv_norm_out, x, "encoder.conv_norm_out");
  x = pass.conv(net.conv_out, x, "encoder.conv_out");  // (B, 2C, H/8, W/8)
  if (vae.quant_conv) x = pass.conv(*vae.quant_conv, x, "quant_conv");
  return split_moments(x);
}

at::Tensor decode_middle(const Autoencoder& vae, const at::Tensor& raw_latents,
                         const Observer* observer) {
  const Pass pass{vae.config.norm_num_groups, observer};
  at::Tensor x = raw_latents;  // (B, C, h, w)
  if (vae.post_quant_conv) x = pass.conv(*vae.post_quant_conv, x, "post_quant_conv");
  x = pass.conv(vae.decoder.conv_in, x, "decoder.conv_in");
  return pass.middle(vae.decoder.mid_block, x, "decoder.mid_block");
}

at::Tensor decode(const Autoencoder& vae, const at::Tensor& raw_latents, const Observer* observer) {
  const Decoder& net = vae.decoder;
  const Pass pass{vae.config.norm_num_groups, observer};
  at::Tensor x = decode_middle(vae, raw_latents, observer);
  for (size_t level = 0; level < net.up_blocks.size(); ++level) {
    const DecoderLevel& up = net.up_blocks[level];
    const std::string name = "decoder.up_blocks." + std::to_string(level);
    x = pass.resnets(up.resnets, std::move(x), name);
    if (!up.upsample) continue;
    x = at::upsample_nearest2d(x, at::IntArrayRef{2 * x.size(2), 2 * x.size(3)});
    x = pass.conv(*up.upsample, x, name + ".upsamplers.0");  // (B, C, 2h, 2w), ...
    return_free_memory();  // the next level's maps are too large for where this one's lay
  }
  x = pass.silu_of_norm(net.conv_norm_out, x, "decoder.conv_norm_out");
  return pass.conv(net.conv_out, x, "decoder.conv_out");  // (B, 3, 8h, 8w)
}

}  // namespace i1
