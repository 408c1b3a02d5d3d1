// The published autoencoders by their lists: names and shapes of all tensors, latent statistics.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "i1/check/report.h"

namespace i1 {

/// A list of tensors {total_parameters, tensors: {name: shape}}, latent statistics of FLUX.2 {mean,
/// var, eps}, or a configuration that tells the statistics of its latents: FLUX.2's, FLUX.1's
/// shift_factor and scaling_factor, or Qwen-Image's latents_mean and latents_std.
bool is_vae_list(const nlohmann::json& stored);

/// keys_NAME_vae.json needs config_NAME.json beside it.
void check_vae_list(const std::filesystem::path& path, CheckReport& report);

}  // namespace i1
