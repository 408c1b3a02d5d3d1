#include "i1/check/vae_lists.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/tensor.h>

#include <map>

#include "i1/check/golden_files.h"
#include "i1/core/error.h"
#include "i1/core/fields.h"
#include "i1/vae/latent_scaling.h"
#include "i1/vae/load.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Elementwise, values about one; both sides round once.
constexpr double kStatisticsTolerance = 1e-6;

bool is_statistics(const json& stored) {
  return stored.is_object() && has_keys(stored, {"mean", "var"}) && stored["mean"].is_array();
}
bool is_list(const json& stored) {
  return stored.is_object() && has_keys(stored, {"total_parameters", "tensors"});
}
// FLUX.1's are one shift and one scale.
bool has_scale(const json& config) {
  return config.is_object() && has_keys(config, {"scaling_factor", "shift_factor"});
}
bool has_channel_statistics(const json& config) {
  return config.is_object() && has_keys(config, {"latents_mean", "latents_std"}) &&
         config["latents_mean"].is_array();
}
bool is_config(const json& stored) {
  return stored.is_object() && has_keys(stored, {"config"}) &&
         (has_keys(stored, {"i1_latent_statistics"}) || has_scale(stored["config"]) ||
          has_channel_statistics(stored["config"]));
}

void check_statistics(const fs::path& path, const json& stored, CheckReport& report) {
  const LatentStatistics& ours = flux2_latent_statistics();
  const double eps = stored.contains("eps") ? stored["eps"] : stored.at("epsilon");
  const auto numbers = [&](const char* key) {
    return at::tensor(stored.at(key).get<std::vector<double>>());
  };
  report.compare(path.string(), "latent statistics", "mean", ours.mean, numbers("mean"),
                 kStatisticsTolerance);
  report.compare(path.string(), "latent statistics", "std", ours.std,
                 at::sqrt(numbers("var") + eps), kStatisticsTolerance);
}

void check_scale(const fs::path& path, const json& config, CheckReport& report) {
  const LatentStatistics& ours = flux1_latent_statistics();
  const double mean = config["shift_factor"], std = 1 / config["scaling_factor"].get<double>();
  report.compare(path.string(), "latent statistics", "shift_factor", ours.mean,
                 at::full_like(ours.mean, mean), kStatisticsTolerance);
  report.compare(path.string(), "latent statistics", "1 / scaling_factor", ours.std,
                 at::full_like(ours.std, std), std * kStatisticsTolerance);
}

// The statistics that a Qwen-Image network has without a config are the published ones.
void check_channel_statistics(const fs::path& path, const json& config, CheckReport& report) {
  const QwenImageConfig ours;
  const auto compare = [&](const char* key, const std::vector<double>& values) {
    report.compare(path.string(), "latent statistics", key, at::tensor(values),
                   at::tensor(config[key].get<std::vector<double>>()), 0);
  };
  compare("latents_mean", ours.latents_mean);
  compare("latents_std", ours.latents_std);
}

std::string class_of(const json& config) { return config.at("_class_name"); }

// Ours by name, with the shapes that the lists have of them.
std::map<std::string, std::vector<int64_t>> our_shapes(const json& config,
                                                       const std::string& where) {
  std::map<std::string, std::vector<int64_t>> shapes;
  const auto add = [&](auto vae) {
    for_each_tensor(vae, "", [&](const std::string& key, at::Tensor& tensor) {
      shapes[key] = tensor.sizes().vec();
    });
  };
  if (class_of(config) == kQwenImageClass) {
    add(make_qwen_image(read_autoencoder_config<QwenImageConfig>(config, where)));
  } else {
    add(make_autoencoder(read_autoencoder_config<AutoencoderConfig>(config, where)));
  }
  return shapes;
}

struct ListedTensor {
  std::vector<int64_t> shape;  // of what is used of it; of several that are not, their own
  bool is_used;
  bool is_parameter;
};

// What a published tensor is to us. FLUX.2's batch norm is built in here, of Qwen-Image one frame
// is decoded.
ListedTensor listed_tensor(const std::string& key, const std::vector<int64_t>& shape) {
  if (key.starts_with("bn.")) return {shape, false, false};
  const at::Tensor published = at::empty(shape, at::TensorOptions(at::kFloat).device(at::kMeta));
  const at::Tensor used = one_frame_of(key, published);
  return used.defined() ? ListedTensor{used.sizes().vec(), true, true}
                        : ListedTensor{shape, false, true};
}

// Names and shapes of the tensors of a published file.
void check_tensor_list(const fs::path& path, const json& listed, CheckReport& report) {
  std::string name = path.stem().string();  // keys_NAME_vae
  check_user(name.starts_with("keys_") && name.ends_with("_vae"), path.string(),
             ": a list of an autoencoder's tensors; expected the name keys_NAME_vae.json");
  name = name.substr(5, name.size() - 9);
  const fs::path config_path = path.parent_path() / ("config_" + name + ".json");
  const json config = read_json(config_path, report);
  std::map<std::string, std::vector<int64_t>> ours =
      our_shapes(config.at("config"), config_path.string());
  int64_t num_values = 0, num_different = 0;
  std::string first;
  const auto differs = [&](const std::string& key) {
    if (num_different++ == 0) first = key;
  };
  const std::map<std::string, std::vector<int64_t>> published = listed.at("tensors");
  for (const auto& [key, shape] : published) {
    const ListedTensor tensor = listed_tensor(key, shape);
    if (tensor.is_parameter) num_values += c10::multiply_integers(shape);
    if (key.starts_with("bn.") && !shape.empty() &&
        shape != flux2_latent_statistics().mean.sizes().vec())
      differs(key);
    if (!tensor.is_used) continue;
    const auto found = ours.find(key);
    if (found == ours.end() || found->second != tensor.shape) differs(key);
    if (found != ours.end()) ours.erase(found);
  }
  for (const auto& [key, shape] : ours) differs(key);
  report.exact(path.string(), name, "names and shapes", num_different, first);
  report.exact(path.string(), name, "number of values",
               std::abs(num_values - listed.at("total_parameters").get<int64_t>()));
}

}  // namespace

bool is_vae_list(const json& stored) {
  return is_statistics(stored) || is_list(stored) || is_config(stored);
}

void check_vae_list(const fs::path& path, CheckReport& report) {
  const json stored = read_json(path, report);
  if (is_statistics(stored)) return check_statistics(path, stored, report);
  if (is_list(stored)) return check_tensor_list(path, stored, report);
  if (has_scale(stored["config"])) check_scale(path, stored["config"], report);
  if (has_channel_statistics(stored["config"]))
    check_channel_statistics(path, stored["config"], report);
  if (stored.contains("i1_latent_statistics"))
    check_statistics(path, stored["i1_latent_statistics"], report);
}

}  // namespace i1
