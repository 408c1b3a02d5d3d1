#include "i1/vae/vae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/round.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "i1/core/memory.h"
#include "i1/io/safetensors.h"
#include "i1/vae/decode_values.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPixelsPerLatent = 8;

void place(auto& net, at::Device device, at::ScalarType dtype) {
  for_each_tensor(net, "", [&](const std::string&, at::Tensor& tensor) {
    tensor = tensor.to(device, dtype);
    if (tensor.dim() == 4) tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
  });
}

LatentStatistics statistics_of(const Taef2&) { return {}; }
// FLUX.2 latents have 32 channels, FLUX.1 latents 16.
LatentStatistics statistics_of(const Autoencoder& vae) {
  return vae.config.latent_channels == 16 ? flux1_latent_statistics() : flux2_latent_statistics();
}
LatentStatistics statistics_of(const QwenImageAutoencoder& vae) {
  return {at::tensor(vae.config.latents_mean, at::kFloat),
          at::tensor(vae.config.latents_std, at::kFloat)};
}

}  // namespace

Vae::Vae(Net net, at::Device device, at::ScalarType dtype)
    : net_(std::move(net)), device_(device), dtype_(dtype) {
  std::visit(
      [&](auto& net) {
        place(net, device, dtype);
        statistics_ = statistics_of(net);
      },
      net_);
}

Vae Vae::load(const fs::path& path, at::Device device, at::ScalarType dtype) {
  check_user(fs::exists(path), path.string(), ": no such file or folder; expected an autoencoder");
  if (fs::is_directory(path) && fs::exists(path / "config.json")) {
    if (autoencoder_class(path) == kQwenImageClass)
      return Vae(load_qwen_image(path), device, dtype);
    return Vae(load_autoencoder(path), device, dtype);
  }
  constexpr const char* kExpected = "; expected FLUX.2, FLUX.1, Qwen-Image or TAEF2";
  const fs::path file = fs::is_directory(path) ? path / "taef2.safetensors" : path;
  check_user(fs::exists(file), path.string(),
             ": neither config.json nor taef2.safetensors in this folder", kExpected);
  const TensorMap tensors = read_safetensors(file).tensors;
  if (is_flux_file(tensors)) return Vae(load_flux_file(file), device, dtype);
  const auto is_decoder = [](const auto& item) { return item.first.starts_with("decoder."); };
  check_user(std::any_of(tensors.begin(), tensors.end(), is_decoder), file.string(),
             ": no autoencoder, it has no tensor decoder.*", kExpected);
  return Vae(load_taef2(file), device, dtype);
}

at::Tensor Vae::encode(const at::Tensor& images, const at::Tensor& noise) const {
  check_user(images.size(2) % kPixelsPerLatent == 0 && images.size(3) % kPixelsPerLatent == 0,
             "images are ", images.sizes(), "; expected height and width to be multiples of ",
             kPixelsPerLatent);
  const auto prepare = [&](const at::Tensor& x) {
    return x.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  };
  if (const auto* taef2 = std::get_if<Taef2>(&net_))
    return i1::encode(taef2->encoder, prepare(images / 2 + 0.5)).to(at::kFloat);
  const auto* flux = std::get_if<Autoencoder>(&net_);
  const Moments moments = flux != nullptr
                              ? i1::encode(*flux, prepare(images))
                              : i1::encode(std::get<QwenImageAutoencoder>(net_), prepare(images));
  const at::Tensor raw = noise.defined() ? i1::sample(moments, noise) : moments.mean;
  return normalize_latents(raw.to(at::kFloat), statistics_);
}

at::Tensor Vae::decode(const at::Tensor& latents, const DecodeLimits& limits,
                       const Observer* observer) const {
  const int64_t band_rows = choose_band_rows(latents.sizes(), limits);
  const auto prepare = [&](const at::Tensor& x) {
    return x.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  };
  const auto run = [&](const auto& net, const at::Tensor& x) {
    return (band_rows == 0 ? i1::decode(net, x, observer) : decode_in_bands(net, x, band_rows))
        .to(at::kFloat);
  };
  if (const auto* taef2 = std::get_if<Taef2>(&net_))
    return run(taef2->decoder, prepare(latents)) * 2 - 1;
  const at::Tensor raw = prepare(denormalize_latents(latents, statistics_));
  const auto* flux = std::get_if<Autoencoder>(&net_);
  return flux != nullptr ? run(*flux, raw) : run(std::get<QwenImageAutoencoder>(net_), raw);
}

FirstNotFinite Vae::first_weight_not_finite() const {
  const auto is_of_encoder = [](const std::string& key) {
    return key.starts_with("encoder.") || key.starts_with("quant_conv.");
  };
  return std::visit(
      [&](const auto& net) { return i1::first_weight_not_finite(net, is_of_encoder); }, net_);
}

int64_t Vae::decode_bytes(at::IntArrayRef latents, int64_t band_rows) const {
  check_user(latents.size() == 4, "latents are ", latents, "; expected (B, C, h, w)");
  const DecodeSize size{latents[0], latents[2], latents[3], band_rows};
  const int64_t values =
      std::visit([&](const auto& net) { return decode_values(net, size); }, net_);
  return values * static_cast<int64_t>(c10::elementSize(dtype_));
}

int64_t Vae::choose_band_rows(at::IntArrayRef latents, const DecodeLimits& limits) const {
  check_user(limits.band_rows >= 0, "decoding: band_rows is ", limits.band_rows,
             ", expected 0 or more");
  const bool is_limited = limits.memory_bytes >= 0 || device_.is_cpu();
  if (limits.band_rows > 0 || !is_limited) return limits.band_rows;
  // Of what is available a tenth is left to others, and to the estimate's error.
  const int64_t limit =
      limits.memory_bytes >= 0 ? limits.memory_bytes : available_memory() / 10 * 9;
  if (decode_bytes(latents) <= limit) return 0;
  const int64_t least = decode_bytes(latents, kBandRows);
  constexpr int64_t kMiB = 1 << 20;
  check_user(least <= limit || limits.memory_bytes < 0, "decoding ", latents[2] * kPixelsPerLatent,
             " x ", latents[3] * kPixelsPerLatent, " pixels (height x width): needs about ",
             least / kMiB + 1, " MiB in bands of ", kBandRows, " rows, the limit is ", limit / kMiB,
             " MiB; raise it or make a smaller picture");
  return kBandRows;
}

int64_t Vae::latent_channels() const {
  if (const auto* vae = std::get_if<Autoencoder>(&net_)) return vae->config.latent_channels;
  if (const auto* vae = std::get_if<QwenImageAutoencoder>(&net_)) return vae->config.z_dim;
  return 32;
}

std::string Vae::name() const {
  if (std::holds_alternative<Taef2>(net_)) return "TAEF2";
  if (std::holds_alternative<QwenImageAutoencoder>(net_)) return "Qwen-Image";
  return latent_channels() == 16 ? "FLUX.1" : "FLUX.2";
}

at::Tensor to_bytes(const at::Tensor& images) {
  return at::round(at::clamp(images / 2 + 0.5, 0, 1) * 255)  // half to even
      .to(at::kByte)
      .permute({0, 2, 3, 1})
      .contiguous();  // (B, H, W, 3)
}

at::Tensor to_pixels(const at::Tensor& bytes) {
  return bytes.permute({0, 3, 1, 2}).to(at::kFloat) / 255 * 2 - 1;  // (B, 3, H, W)
}

}  // namespace i1
