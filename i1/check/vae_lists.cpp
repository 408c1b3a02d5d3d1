#include "i1/check/vae_lists.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/tensor.h>

#include <map>

#include "i1/check/golden_files.h"
#include "i1/core/config.h"
#include "i1/core/error.h"
#include "i1/core/fields.h"
#include "i1/vae/flux2.h"
#include "i1/vae/latent_scaling.h"

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
bool is_config(const json& stored) {
  return stored.is_object() && has_keys(stored, {"config"}) &&
         (has_keys(stored, {"i1_latent_statistics"}) || has_scale(stored["config"]));
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

AutoencoderConfig read_config(const json& stored, const std::string& where) {
  AutoencoderConfig config;
  json known = json::object();  // there are settings of another library, too
  for (const std::string& name : field_names(config)) {
    if (stored.contains(name)) known[name] = stored[name];
  }
  from_json(config, known, where);
  return config;
}

bool is_qwen_image(const json& config) {
  return config.at("config").at("_class_name") == kQwenImage;
}

// Names and shapes of the tensors of a published file; it also holds FLUX.2's batch norm, which is
// built in here.
void check_tensor_list(const fs::path& path, const json& listed, CheckReport& report) {
  std::string name = path.stem().string();  // keys_NAME_vae
  check_user(name.starts_with("keys_") && name.ends_with("_vae"), path.string(),
             ": a list of an autoencoder's tensors; expected the name keys_NAME_vae.json");
  name = name.substr(5, name.size() - 9);
  const fs::path config_path = path.parent_path() / ("config_" + name + ".json");
  const json config = read_json(config_path, report);
  if (is_qwen_image(config)) return report.leave_out(path, kNoQwenImage);
  std::map<std::string, std::vector<int64_t>> expected = listed.at("tensors");
  int64_t num_values = 0, num_different = 0;
  std::string first;
  const auto differs = [&](const std::string& key) {
    if (num_different++ == 0) first = key;
  };
  std::erase_if(expected, [&](const auto& item) {
    if (!item.first.starts_with("bn.")) return false;
    const bool is_count = item.second.empty();  // num_batches_tracked, not a parameter
    const auto channels = flux2_latent_statistics().mean.sizes().vec();
    if (!is_count && item.second != channels) differs(item.first);
    return true;
  });
  Autoencoder vae = make_autoencoder(read_config(config.at("config"), config_path.string()));
  for_each_tensor(vae, "", [&](const std::string& key, at::Tensor& tensor) {
    num_values += tensor.numel();
    const auto found = expected.find(key);
    if (found == expected.end() || found->second != tensor.sizes().vec()) differs(key);
    if (found != expected.end()) expected.erase(found);
  });
  for (const auto& [key, shape] : expected) differs(key);
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
  if (stored.contains("i1_latent_statistics"))
    check_statistics(path, stored["i1_latent_statistics"], report);
}

}  // namespace i1
