#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// Statistics of an autoencoder's latent: by channel (C), or by channel and place in a 2x2 cell
/// (4C): entry k = 4 c + 2 (y mod 2) + (x mod 2).
struct LatentStatistics {
  at::Tensor mean;  ///< (C) or (4C) float32
  at::Tensor std;   ///< of the same size
};

/// FLUX.2, C = 32, by place: mean and sqrt(variance + 1e-4) of the published autoencoder's batch
/// norm over 2x2 cells packed into channels. The index above stands for that packing, which would
/// only move data.
const LatentStatistics& flux2_latent_statistics();

/// FLUX.1, C = 16, by channel: one shift and one scale for all, (raw - 0.1159) * 0.3611.
const LatentStatistics& flux1_latent_statistics();

/// (raw - mean[k]) / std[k]. raw: (B, C, h, w), h and w even where statistics are by place;
/// arithmetic in its dtype. Throws UserError otherwise.
at::Tensor normalize_latents(const at::Tensor& raw_latents, const LatentStatistics& statistics);

/// latents * std[k] + mean[k]: the inverse.
at::Tensor denormalize_latents(const at::Tensor& latents, const LatentStatistics& statistics);

}  // namespace i1
