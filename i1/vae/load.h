// Autoencoders from the files that are published of them.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "i1/core/config.h"
#include "i1/io/stored_tensor.h"
#include "i1/vae/flux2.h"
#include "i1/vae/qwen_image.h"
#include "i1/vae/taef2.h"

namespace i1 {

/// The fields of a config that a config.json names; it also holds settings of its own library.
/// Throws UserError as `from_json` does.
template <HasFields Config>
Config read_autoencoder_config(const nlohmann::json& stored, const std::string& where) {
  Config config;
  nlohmann::json known = nlohmann::json::object();
  for (const std::string& name : field_names(config)) {
    if (stored.contains(name)) known[name] = stored[name];
  }
  from_json(config, known, where);
  return config;
}

/// The `_class_name` of a diffusers folder's config.json. Throws UserError where there is none.
std::string autoencoder_class(const std::filesystem::path& folder);
inline constexpr const char* kQwenImageClass = "AutoencoderKLQwenImage";

/// Reads a diffusers folder of FLUX.1 or FLUX.2. The `bn.*` tensors of FLUX.2 files are left out:
/// the statistics are built in. Throws UserError where config or tensors are of another network.
Autoencoder load_autoencoder(const std::filesystem::path& folder);

/// The same of Qwen-Image.
QwenImageAutoencoder load_qwen_image(const std::filesystem::path& folder);

/// Reads a file with both halves of TAEF2.
Taef2 load_taef2(const std::filesystem::path& path);

/// FLUX.1 and FLUX.2 as one file without a config ("ae.safetensors"), under the names of its
/// authors' code or those of diffusers. Widths, blocks a level and channels follow from the shapes;
/// the number of groups of the norms does not.
inline constexpr int64_t kFluxNormGroups = 32;
bool is_flux_file(const TensorMap& tensors);
Autoencoder load_flux_file(const std::filesystem::path& path,
                           int64_t norm_num_groups = kFluxNormGroups);

/// The name among `Autoencoder`'s fields of a tensor of the authors' files, whose decoder counts
/// its four levels from the last; names that are none of theirs stay.
std::string flux_field_name(const std::string& name);

}  // namespace i1
