// One face for every autoencoder: pixels in [-1, 1] on one side, i1's normalised latents on the
// other.
#pragma once

#include <filesystem>
#include <string>
#include <variant>

#include "i1/core/finite.h"
#include "i1/vae/latent_scaling.h"
#include "i1/vae/load.h"

namespace i1 {

/// How much memory a decoding may take beside what is already held.
struct DecodeLimits {
  /// A limit in bytes; negative: what the machine has left (available_memory), on a CPU; on other
  /// devices none.
  int64_t memory_bytes = -1;
  /// Rows of a level worked on at a time; 0: all, or kBandRows where that would not fit the limit.
  int64_t band_rows = 0;
};
inline constexpr int64_t kBandRows = 32;

class Vae {
 public:
  /// Reads a diffusers folder (config.json and safetensors; FLUX.2, FLUX.1, Qwen-Image), a single
  /// FLUX file ("ae.safetensors") or a TAEF2 safetensors file, and puts the weights on `device` in
  /// `dtype`, which it computes in. Throws UserError where the path holds none of them or tensors
  /// do not fit.
  static Vae load(const std::filesystem::path& path, at::Device device = at::kCPU,
                  at::ScalarType dtype = at::kFloat);

  /// images: (B, 3, H, W) float32 in [-1, 1], H and W multiples of 8 -> normalised latents (B, C,
  /// H/8, W/8). noise: standard normal of the latents' shape, used where the encoder gives a
  /// distribution (all but TAEF2); undefined = its mean.
  at::Tensor encode(const at::Tensor& images, const at::Tensor& noise = {}) const;

  /// normalised latents (B, C, h, w) float32 -> images (B, 3, 8h, 8w), about [-1, 1], clamped to it
  /// by Qwen-Image only. All at once where that fits the limit of `limits`, else in bands of rows,
  /// which moves pixels by rounding errors. Throws UserError where `limits` has a limit that bands
  /// do not fit either. Stages are those of the autoencoder, none in bands.
  at::Tensor decode(const at::Tensor& latents, const DecodeLimits& limits = {},
                    const Observer* observer = nullptr) const;

  /// The first weight of the decoder with a value that is not finite.
  FirstNotFinite first_weight_not_finite() const;

  /// About the largest sum of bytes that `decode` holds at once: all at once (`band_rows` = 0), or
  /// in bands. latents: (B, C, h, w); only their shape counts.
  int64_t decode_bytes(at::IntArrayRef latents, int64_t band_rows = 0) const;

  int64_t latent_channels() const;
  std::string name() const;  ///< "TAEF2", "FLUX.2", "FLUX.1" or "Qwen-Image"

 private:
  using Net = std::variant<Taef2, Autoencoder, QwenImageAutoencoder>;
  Vae(Net net, at::Device device, at::ScalarType dtype);

  int64_t choose_band_rows(at::IntArrayRef latents, const DecodeLimits& limits) const;

  Net net_;
  LatentStatistics statistics_;  ///< none for TAEF2, whose latents are the normalised ones
  at::Device device_;
  at::ScalarType dtype_;
};

/// Pixels to bytes: clamp(x / 2 + 0.5, 0, 1) * 255, rounded half to even, in the dtype of `images`.
/// (B, 3, H, W) -> (B, H, W, 3) uint8.
at::Tensor to_bytes(const at::Tensor& images);

/// Bytes to pixels: (x / 255) * 2 - 1, float32 at each step. (B, H, W, 3) uint8 -> (B, 3, H, W).
at::Tensor to_pixels(const at::Tensor& bytes);

}  // namespace i1
