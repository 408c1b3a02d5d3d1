#include "i1/vae/decode_values.h"

#include <algorithm>

namespace i1 {
namespace {

// Level `level` of a decoder that begins at the latents' size and doubles it from level to level.
struct Level {
  int64_t pixels, band_pixels;

  Level(const DecodeSize& size, int level, int64_t reach)
      : pixels(size.batch * (size.height << level) * (size.width << level)), band_pixels(pixels) {
    if (size.band_rows == 0) return;
    const int64_t rows = std::min(size.band_rows + 2 * reach, size.height << level);
    band_pixels = size.batch * rows * (size.width << level);
  }
};

}  // namespace

int64_t decode_values(const Autoencoder& vae, const DecodeSize& size) {
  const std::vector<int64_t>& widths = vae.config.block_out_channels;
  const auto last = static_cast<int>(widths.size()) - 1;
  int64_t most = 0;
  for (int i = 0; i <= last; ++i) {
    const Level level(size, i, 2);
    const int64_t width = widths[last - i], input = widths[last - std::max(i - 1, 0)];
    const int64_t at_work = (4 * input + width) * level.band_pixels;
    const int64_t kept = size.band_rows == 0 ? 0 : (2 * width + input / 4) * level.pixels;
    most = std::max(most, kept + at_work);
  }
  return most;
}

int64_t decode_values(const QwenImageAutoencoder& vae, const DecodeSize& size) {
  const std::vector<int64_t>& factors = vae.config.dim_mult;
  const auto last = static_cast<int>(factors.size()) - 1;
  int64_t most = 0;
  for (int i = 0; i <= last; ++i) {
    const Level level(size, i, 8);
    const int64_t width = vae.config.base_dim * factors[last - i];
    const int64_t input = vae.config.base_dim * factors[last - std::max(i - 1, 0)];
    const int64_t at_work = (3 * input + 4 * width) * level.band_pixels;
    const int64_t kept = size.band_rows == 0 ? 0 : (input / 4 + width) * level.pixels;
    most = std::max(most, kept + at_work);
  }
  return most;
}

int64_t decode_values(const Taef2& vae, const DecodeSize& size) {
  const int64_t width = vae.decoder.conv_out.weight.size(1);
  const Level level(size, 3, 5);
  const int64_t kept = size.band_rows == 0 ? 0 : (width / 4 + 3) * level.pixels;
  return kept + 8 * width * level.band_pixels;
}

}  // namespace i1
