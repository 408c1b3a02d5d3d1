// One face for every autoencoder: pixels in [-1, 1] on one side, i1's normalised latents on the
// other.
#pragma once

#include <filesystem>
#include <string>
#include <variant>

#include "i1/vae/flux2.h"
#include "i1/vae/taef2.h"

namespace i1 {

/// Reads a diffusers folder. The `bn.*` tensors of FLUX.2 files are left out: the statistics are
/// built in.
Autoencoder load_autoencoder(const std::filesystem::path& folder);
/// Reads a safetensors file with both halves of TAEF2.
Taef2 load_taef2(const std::filesystem::path& path);

class Vae {
 public:
  /// Reads a diffusers folder (config.json and safetensors; FLUX.2, FLUX.1) or a TAEF2 safetensors
  /// file, and puts the weights on `device` in `dtype`, which it computes in. Throws UserError
  /// where the path holds neither or tensors do not fit.
  static Vae load(const std::filesystem::path& path, at::Device device = at::kCPU,
                  at::ScalarType dtype = at::kFloat);

  /// images: (B, 3, H, W) float32 in [-1, 1], H and W multiples of `downsampling()` -> normalised
  /// latents (B, C, H/8, W/8). noise: standard normal of the latents' shape, used where the encoder
  /// gives a distribution (FLUX.2); undefined = its mean.
  at::Tensor encode(const at::Tensor& images, const at::Tensor& noise = {}) const;

  /// normalised latents (B, C, h, w) float32 -> images (B, 3, 8h, 8w), about [-1, 1], not clamped.
  at::Tensor decode(const at::Tensor& latents) const;

  int64_t latent_channels() const;
  std::string name() const;  ///< "TAEF2", "FLUX.2" or "FLUX.1"

 private:
  Vae(std::variant<Taef2, Autoencoder> net, at::ScalarType dtype)
      : net_(std::move(net)), dtype_(dtype) {}

  std::variant<Taef2, Autoencoder> net_;
  at::ScalarType dtype_;
};

/// Pixels to bytes: clamp(x / 2 + 0.5, 0, 1) * 255, rounded half to even, in the dtype of `images`.
/// (B, 3, H, W) -> (B, H, W, 3) uint8.
at::Tensor to_bytes(const at::Tensor& images);

/// Bytes to pixels: (x / 255) * 2 - 1, float32 at each step. (B, H, W, 3) uint8 -> (B, 3, H, W).
at::Tensor to_pixels(const at::Tensor& bytes);

}  // namespace i1
