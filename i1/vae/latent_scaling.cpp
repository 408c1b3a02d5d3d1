#include "i1/vae/latent_scaling.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include "i1/core/error.h"

namespace i1 {
namespace {

// Statistic k of channel c and place (y mod 2, x mod 2), laid over the map: (4C) -> (1, C, h, w).
at::Tensor spread(const at::Tensor& values, const at::Tensor& latents) {
  const int64_t height = latents.size(2), width = latents.size(3);
  check_user(values.numel() == 4 * latents.size(1) && height % 2 == 0 && width % 2 == 0,
             "latents are ", latents.sizes(), "; expected ", values.numel() / 4,
             " channels and an even height and width");
  return values.to(latents.options()).view({1, -1, 2, 2}).repeat({1, 1, height / 2, width / 2});
}

}  // namespace

at::Tensor normalize_latents(const at::Tensor& raw_latents, const LatentStatistics& statistics) {
  return (raw_latents - spread(statistics.mean, raw_latents)) / spread(statistics.std, raw_latents);
}

at::Tensor denormalize_latents(const at::Tensor& latents, const LatentStatistics& statistics) {
  return latents * spread(statistics.std, latents) + spread(statistics.mean, latents);
}

const LatentStatistics& flux1_latent_statistics() {
  static const LatentStatistics statistics{at::full({64}, 0.1159), at::full({64}, 1 / 0.3611)};
  return statistics;
}

}  // namespace i1
