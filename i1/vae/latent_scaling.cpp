#include "i1/vae/latent_scaling.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include "i1/core/error.h"

namespace i1 {
namespace {

// Statistics laid over the map: (C) -> (1, C, 1, 1); (4C), statistic k of channel c and place (y
// mod 2, x mod 2) -> (1, C, h, w).
at::Tensor spread(const at::Tensor& values, const at::Tensor& latents) {
  const int64_t num_values = values.numel(), C = latents.size(1);
  if (num_values == C) return values.to(latents.options()).view({1, -1, 1, 1});
  const int64_t height = latents.size(2), width = latents.size(3);
  check_user(num_values == 4 * C && height % 2 == 0 && width % 2 == 0, "latents are ",
             latents.sizes(), "; expected ", num_values / 4,
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
  static const LatentStatistics statistics{at::full({16}, 0.1159), at::full({16}, 1 / 0.3611)};
  return statistics;
}

}  // namespace i1
