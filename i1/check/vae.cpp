#include "i1/check/vae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/round.h>

#include <cstdlib>
#include <limits>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/safetensors.h"
#include "i1/vae/latent_scaling.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// goldens/vae/README.md, "Tolerances".
constexpr double kTolerance = 1e-4, kScalingTolerance = 1e-5;
constexpr double kMaxShareOfBytesOff = 5e-4;  // by one step; none by more

struct Golden {
  std::string name;
  TensorMap tensors;
  CheckReport& report;

  bool has(const std::string& key) const { return tensors.contains(key); }
  const at::Tensor& operator[](const std::string& key) const {
    const auto found = tensors.find(key);
    check_user(found != tensors.end(), name, ": no tensor \"", key, "\"");
    return found->second;
  }
  void compare(const std::string& case_name, const std::string& key, const at::Tensor& found,
               double tolerance = kTolerance) const {
    report.compare(name, case_name, key, found, (*this)[key], tolerance);
  }
  // Pictures may differ by one step where float32 falls on the other side of a half.
  void compare_bytes(const std::string& case_name, const std::string& key,
                     const at::Tensor& found) const {
    const at::Tensor difference = at::abs(found.to(at::kInt) - (*this)[key].to(at::kInt));
    const bool is_close =
        difference.max().item<int>() <= 1 &&
        difference.count_nonzero().item<double>() <= kMaxShareOfBytesOff * found.numel();
    report.exact(name, case_name, key, is_close ? 0 : difference.count_nonzero().item<int64_t>());
  }
  // Names of cases: what precedes `suffix` in keys of the form "<case><suffix>".
  std::vector<std::string> cases(const std::string& suffix) const {
    std::vector<std::string> names;
    for (const auto& [key, tensor] : tensors) {
      if (key.ends_with(suffix)) names.push_back(key.substr(0, key.size() - suffix.size()));
    }
    return names;
  }
};

void check_scaling(const Golden& golden, const std::string& name) {
  const std::string prefix = name + ".";
  const LatentStatistics& statistics = golden[prefix + "raw_latent"].size(1) == 16
                                           ? flux1_latent_statistics()
                                           : flux2_latent_statistics();
  const at::Tensor normalised = normalize_latents(golden[prefix + "raw_latent"], statistics);
  golden.compare(name, prefix + "normalised", normalised, kScalingTolerance);
  if (golden.has(prefix + "patchified_norm")) {
    golden.compare(name, prefix + "patchified_norm", at::pixel_unshuffle(normalised, 2),
                   kScalingTolerance);
  }
  golden.compare(name, prefix + "z_raw", denormalize_latents(golden[prefix + "z"], statistics),
                 kScalingTolerance);
}

void check_autoencoder_cases(const Autoencoder& vae, const Golden& golden) {
  for (const std::string& name : golden.cases(".image")) {
    const std::string prefix = name + ".";
    const Moments moments = encode(vae, golden[prefix + "image"]);
    golden.compare(name, prefix + "mean", moments.mean);
    golden.compare(name, prefix + "logvar", moments.log_variance);
    golden.compare(name, prefix + "std", at::exp(0.5 * moments.log_variance));
    golden.compare(name, prefix + "sample", sample(moments, golden[prefix + "noise"]));
    golden.compare(name, prefix + "decode_mode", decode(vae, golden[prefix + "mean"]));
    golden.compare(name, prefix + "decode_sample", decode(vae, golden[prefix + "sample"]));
  }
  for (const std::string& name : golden.cases(".moments")) {
    const std::string prefix = name + ".";
    const Moments moments = split_moments(golden[prefix + "moments"]);
    golden.compare(name, prefix + "logvar", moments.log_variance);
    // Elementwise, values up to e^10: the mean, the exponential, the product and the sum round once
    // each.
    const double largest = at::abs(golden[prefix + "sample"]).max().item<double>();
    golden.compare(name, prefix + "sample", sample(moments, golden[prefix + "noise"]),
                   4 * std::numeric_limits<float>::epsilon() * largest);
  }
  for (const std::string& name : golden.cases(".raw_latent")) {
    const std::string prefix = name + ".";
    check_scaling(golden, name);
    const at::Tensor decoded = decode(vae, golden[prefix + "z_raw"]);
    golden.compare(name, prefix + "decoded", decoded);
    golden.compare_bytes(name, prefix + "u8_hwc", to_bytes(decoded));
  }
  for (const char* dtype : {"fp32", "bf16"}) {
    const std::string prefix = std::string(dtype) + ".";
    if (!golden.has(prefix + "decoded")) continue;
    const at::Tensor flat = golden[prefix + "decoded"].view({1, 1, 1, -1});
    golden.report.exact(golden.name, dtype, prefix + "u8",
                        (to_bytes(flat).view({-1}) != golden[prefix + "u8"]).sum().item<int64_t>());
  }
}

// Every stage whose name the network reports is compared; a stored stage that it never reports is a
// failure.
template <class Run>
void check_stages(const Golden& golden, const std::string& prefix, Run&& run) {
  TensorMap seen;
  const Observer observer = [&](const std::string& stage, const at::Tensor& value) {
    seen[stage] = value;
  };
  run(observer);
  for (const auto& [key, expected] : golden.tensors) {
    if (!key.starts_with(prefix) || key.ends_with("input")) continue;
    const auto found = seen.find(key.substr(prefix.size()));
    if (found == seen.end()) {
      golden.report.fail(golden.name, "stages", key, "the network has no such stage");
    } else {
      golden.report.compare(golden.name, "stages", key, found->second, expected, kTolerance);
    }
  }
}

void check_autoencoder(const fs::path& folder, const std::string& device, CheckReport& report) {
  if (read_file(folder / "config.json").find("AutoencoderKLQwenImage") != std::string::npos) {
    return report.leave_out(folder.string(), "this version has no Qwen-Image autoencoder");
  }
  Autoencoder vae = load_autoencoder(folder);
  for_each_tensor(vae, "", [&](const std::string&, at::Tensor& tensor) {
    tensor = tensor.to(at::Device(device));
  });
  const auto read = [&](const fs::path& path) {
    TensorMap tensors = read_safetensors(path).tensors;
    for (auto& [key, tensor] : tensors) tensor = tensor.to(at::Device(device));
    return Golden{path.string(), std::move(tensors), report};
  };
  if (fs::exists(folder / "cases.safetensors"))
    check_autoencoder_cases(vae, read(folder / "cases.safetensors"));
  if (fs::exists(folder / "stages.safetensors")) {
    const Golden stages = read(folder / "stages.safetensors");
    check_stages(stages, "", [&](const Observer& observer) {
      encode(vae, stages["input"], &observer);
      decode(vae, stages["decoder_input"], &observer);
    });
  }
}

// The weights of TAEF2 are too large for the goldens: they lie in weights/taef2 beside them or in
// the project.
fs::path taef2_weights(const fs::path& golden) {
  std::vector<fs::path> places;
  if (const char* named = std::getenv("I1_TAEF2")) places.push_back(named);
  for (fs::path folder = fs::absolute(golden); folder != folder.parent_path();
       folder = folder.parent_path()) {
    places.push_back(folder / "weights/taef2/taef2.safetensors");
  }
  places.push_back("weights/taef2/taef2.safetensors");
  for (const fs::path& place : places) {
    if (fs::exists(place)) return place;
  }
  throw UserError(golden.string() +
                  ": needs weights/taef2/taef2.safetensors; name it with I1_TAEF2");
}

void check_taef2(const fs::path& folder, const std::string& device, CheckReport& report) {
  Taef2 vae = load_taef2(taef2_weights(folder));
  for_each_tensor(vae, "", [&](const std::string&, at::Tensor& tensor) {
    tensor = tensor.to(at::Device(device), at::kFloat);
  });
  const fs::path cases_path = folder / "cases.safetensors",
                 stages_path = folder / "stages.safetensors";
  const Golden cases{cases_path.string(), read_safetensors(cases_path).tensors, report};
  for (const std::string& name : cases.cases(".decoded")) {
    cases.compare(name, name + ".decoded",
                  decode(vae.decoder, cases[name + ".latent"].to(at::Device(device))));
  }
  if (!fs::exists(stages_path)) return;
  const Golden stages{stages_path.string(), read_safetensors(stages_path).tensors, report};
  check_stages(stages, "stages.", [&](const Observer& observer) {
    encode(vae.encoder, stages["encoder.input"].to(at::Device(device)), &observer);
    decode(vae.decoder, stages["decoder.input"].to(at::Device(device)), &observer);
  });
}

void check_latent_scaling(const fs::path& file, CheckReport& report) {
  const Golden golden{file.string(), read_safetensors(file).tensors, report};
  for (const std::string& name : golden.cases("/scale_in")) {
    const LatentStatistics& statistics = flux2_latent_statistics();
    golden.compare(name, name + "/scale_out",
                   normalize_latents(golden[name + "/scale_in"], statistics), kScalingTolerance);
    golden.compare(name, name + "/reverse_out",
                   denormalize_latents(golden[name + "/reverse_in"], statistics),
                   kScalingTolerance);
  }
}

bool is_autoencoder(const fs::path& path) {
  return fs::exists(path / "diffusion_pytorch_model.safetensors");
}
bool is_taef2(const fs::path& path) {
  return path.filename() == "taef2" && fs::exists(path / "cases.safetensors");
}
bool is_latent_scaling(const fs::path& path) {
  return path.filename() == "latent_scaling.safetensors";
}

bool matches(const fs::path& path) {
  return is_autoencoder(path) || is_taef2(path) || is_latent_scaling(path);
}

void run(const fs::path& path, const std::string& device, CheckReport& report) {
  if (is_latent_scaling(path)) return check_latent_scaling(path, report);
  if (is_taef2(path)) return check_taef2(path, device, report);
  check_autoencoder(path, device, report);
}

}  // namespace

const CheckFamily kCheckVae = {"vae", "autoencoders (FLUX.2, FLUX.1, TAEF2) and latent scaling",
                               matches, run};

}  // namespace i1
