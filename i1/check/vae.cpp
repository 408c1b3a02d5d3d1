#include "i1/check/vae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "i1/check/golden_files.h"
#include "i1/check/vae_lists.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/image.h"
#include "i1/vae/latent_scaling.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";

// goldens/vae/README.md, "Tolerances".
constexpr double kTolerance = 1e-4, kScalingTolerance = 1e-5;
constexpr double kMaxShareOfBytesOff = 5e-4;  // by one step; none by more
// x / 127.5 - 1 against (x / 255) * 2 - 1: three roundings of values up to two.
constexpr double kByteTolerance = 3 * 0x1p-23;
constexpr double kPsnrTolerance = 0.01;  // psnr.json gives three decimals; single bytes may differ

// z * std + mean, each step rounded to bfloat16: a unit of the largest result.
double bfloat16_tolerance(const at::Tensor& expected) {
  return at::abs(expected).max().item<double>() * 0x1p-7;
}

struct Golden {
  std::string name;
  TensorMap tensors;
  CheckReport& report;

  bool has(const std::string& key) const { return tensors.contains(key); }
  const at::Tensor& operator[](const std::string& key) const { return take(tensors, key, name); }
  void compare(const std::string& case_name, const std::string& key, const at::Tensor& found,
               double tolerance = kTolerance) const {
    report.compare(name, case_name, key, found, (*this)[key], tolerance);
  }
  // Pictures may differ by one step where float32 falls on the other side of a half.
  void compare_bytes(const std::string& case_name, const std::string& stage,
                     const at::Tensor& found, const at::Tensor& expected) const {
    if (found.sizes() != expected.sizes()) {
      return report.fail(name, case_name, stage,
                         concat("found shape ", found.sizes(), ", expected ", expected.sizes()));
    }
    const at::Tensor difference = at::abs(found.to(at::kInt) - expected.to(at::kInt));
    const bool is_close =
        difference.max().item<int>() <= 1 &&
        difference.count_nonzero().item<double>() <= kMaxShareOfBytesOff * found.numel();
    report.exact(name, case_name, stage, is_close ? 0 : difference.count_nonzero().item<int64_t>());
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

LatentStatistics statistics_of(const Autoencoder& vae) {
  return vae.config.latent_channels == 16 ? flux1_latent_statistics() : flux2_latent_statistics();
}
LatentStatistics statistics_of(const QwenImageAutoencoder& vae) {
  return {at::tensor(vae.config.latents_mean), at::tensor(vae.config.latents_std)};
}

void check_scaling(const Golden& golden, const std::string& name,
                   const LatentStatistics& statistics) {
  const std::string prefix = name + ".";
  const at::Tensor normalised = normalize_latents(golden[prefix + "raw_latent"], statistics);
  golden.compare(name, prefix + "normalised", normalised, kScalingTolerance);
  if (golden.has(prefix + "patchified_norm")) {
    golden.compare(name, prefix + "patchified_norm", at::pixel_unshuffle(normalised, 2),
                   kScalingTolerance);
  }
  golden.compare(name, prefix + "z_raw", denormalize_latents(golden[prefix + "z"], statistics),
                 kScalingTolerance);
}

// Of Qwen-Image there are also the pixels before they are clamped.
void check_decoding(const auto& vae, const Golden& golden, const std::string& name,
                    const std::string& latents, const std::string& key) {
  at::Tensor raw;
  const Observer observer = [&](const std::string& stage, const at::Tensor& value) {
    if (stage == "decoder.conv_out") raw = value;
  };
  golden.compare(name, key, decode(vae, golden[latents], &observer));
  if (golden.has(key + "_preclamp")) golden.compare(name, key + "_preclamp", raw);
}

void check_autoencoder_cases(const auto& vae, const Golden& golden) {
  for (const std::string& name : golden.cases(".image")) {
    const std::string prefix = name + ".";
    if (golden.has(prefix + "image_u8_hwc")) {
      golden.compare(name, prefix + "image",
                     to_pixels(golden[prefix + "image_u8_hwc"].unsqueeze(0)), kByteTolerance);
    }
    const Moments moments = encode(vae, golden[prefix + "image"]);
    golden.compare(name, prefix + "mean", moments.mean);
    golden.compare(name, prefix + "logvar", moments.log_variance);
    golden.compare(name, prefix + "std", at::exp(0.5 * moments.log_variance));
    golden.compare(name, prefix + "sample", sample(moments, golden[prefix + "noise"]));
    check_decoding(vae, golden, name, prefix + "mean", prefix + "decode_mode");
    check_decoding(vae, golden, name, prefix + "sample", prefix + "decode_sample");
  }
  for (const std::string& name : golden.cases(".moments")) {
    const std::string prefix = name + ".";
    const Moments moments = split_moments(golden[prefix + "moments"]);
    golden.compare(name, prefix + "mean", moments.mean);
    golden.compare(name, prefix + "logvar", moments.log_variance);
    // Elementwise, values up to e^10: the mean, the exponential, the product and the sum round once
    // each.
    const double largest = at::abs(golden[prefix + "sample"]).max().item<double>();
    golden.compare(name, prefix + "sample", sample(moments, golden[prefix + "noise"]),
                   4 * std::numeric_limits<float>::epsilon() * largest);
  }
  for (const std::string& name : golden.cases(".raw_latent")) {
    const std::string prefix = name + ".";
    check_scaling(golden, name, statistics_of(vae));
    const at::Tensor decoded = decode(vae, golden[prefix + "z_raw"]);
    golden.compare(name, prefix + "decoded", decoded);
    golden.compare_bytes(name, prefix + "u8_hwc", to_bytes(decoded), golden[prefix + "u8_hwc"]);
  }
  if (golden.has("layout.latent")) {  // where a channel of statistics lies in a 2x2 cell
    golden.compare("layout", "layout.patchified", at::pixel_unshuffle(golden["layout.latent"], 2),
                   0);
  }
  if (golden.has("bf16.z")) {
    golden.compare("bf16", "bf16.z_raw",
                   denormalize_latents(golden["bf16.z"], flux2_latent_statistics()),
                   bfloat16_tolerance(golden["bf16.z_raw"]));
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

// A folder's tensors; those of Qwen-Image have one frame, whose axis goes.
Golden read_cases(const fs::path& path, const std::string& device, CheckReport& report) {
  TensorMap tensors = read_golden(path, report);
  for (auto& [key, tensor] : tensors) {
    if (tensor.dim() == 5 && tensor.size(2) == 1) tensor = tensor.squeeze(2);
    tensor = tensor.to(at::Device(device));
  }
  return {path.string(), std::move(tensors), report};
}

void check_cases_and_stages(auto vae, const fs::path& folder, const std::string& device,
                            CheckReport& report) {
  report.use(folder / "config.json");
  report.use(folder / kWeights);
  for_each_tensor(vae, "", [&](const std::string&, at::Tensor& tensor) {
    tensor = tensor.to(at::Device(device));
  });
  if (fs::exists(folder / "cases.safetensors"))
    check_autoencoder_cases(vae, read_cases(folder / "cases.safetensors", device, report));
  if (fs::exists(folder / "stages.safetensors")) {
    const Golden stages = read_cases(folder / "stages.safetensors", device, report);
    check_stages(stages, "", [&](const Observer& observer) {
      encode(vae, stages["input"], &observer);
      decode(vae, stages["decoder_input"], &observer);
    });
  }
}

void check_autoencoder(const fs::path& folder, const std::string& device, CheckReport& report) {
  if (autoencoder_class(folder) == kQwenImageClass) {
    check_cases_and_stages(load_qwen_image(folder), folder, device, report);
  } else {
    check_cases_and_stages(load_autoencoder(folder), folder, device, report);
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

double psnr(const at::Tensor& found, const at::Tensor& expected) {  // of bytes, in dB
  const double error =
      at::pow(found.to(at::kDouble) - expected.to(at::kDouble), 2).mean().item<double>();
  return 10 * std::log10(255.0 * 255.0 / error);
}

at::Tensor picture_bytes(const fs::path& path, CheckReport& report) {  // (1, H, W, 3)
  report.use(path);
  Image image = read_image(path);
  return at::from_blob(image.pixels.data(), {1, image.height, image.width, 3}, at::kByte).clone();
}

// A whole picture through TAEF2, where it is there: ../images/NAME.png -> NAME.latent, NAME_rec.png
// and its PSNR.
void check_taef2_picture(const Taef2& vae, const fs::path& folder, const Golden& cases,
                         const std::string& name, at::Device device) {
  const fs::path picture = folder.parent_path() / "images" / (name + ".png"),
                 decoded = folder / (name + "_rec.png"), listed = folder / "psnr.json";
  if (fs::exists(picture)) {
    const at::Tensor bytes = picture_bytes(picture, cases.report);
    const at::Tensor pixels = bytes.permute({0, 3, 1, 2}).to(device, at::kFloat) / 255;
    cases.compare(name, name + ".latent", encode(vae.encoder, pixels));
  }
  if (!fs::exists(decoded)) return;
  const at::Tensor expected = picture_bytes(decoded, cases.report);
  const at::Tensor image = decode(vae.decoder, cases[name + ".latent"].to(device));  // in [0, 1]
  const at::Tensor found = to_bytes(image * 2 - 1).to(at::kCPU);
  cases.compare_bytes(name, name + "_rec.png", found, expected);
  if (!fs::exists(picture) || !fs::exists(listed)) return;
  const nlohmann::json entry = read_json(listed, cases.report).value(name, nlohmann::json());
  if (!entry.contains("psnr_db")) return;
  cases.report.compare(cases.name, name, "psnr.json",
                       at::scalar_tensor(psnr(found, picture_bytes(picture, cases.report))),
                       at::scalar_tensor(entry["psnr_db"].get<double>()), kPsnrTolerance);
}

void check_taef2(const fs::path& folder, const std::string& device, CheckReport& report) {
  Taef2 vae = load_taef2(taef2_weights(folder));
  for_each_tensor(vae, "", [&](const std::string&, at::Tensor& tensor) {
    tensor = tensor.to(at::Device(device), at::kFloat);
  });
  const fs::path cases_path = folder / "cases.safetensors",
                 stages_path = folder / "stages.safetensors";
  const Golden cases{cases_path.string(), read_golden(cases_path, report), report};
  for (const std::string& name : cases.cases(".decoded")) {
    cases.compare(name, name + ".decoded",
                  decode(vae.decoder, cases[name + ".latent"].to(at::Device(device))));
  }
  for (const std::string& name : cases.cases(".latent"))
    check_taef2_picture(vae, folder, cases, name, at::Device(device));
  if (!fs::exists(stages_path)) return;
  const Golden stages{stages_path.string(), read_golden(stages_path, report), report};
  check_stages(stages, "stages.", [&](const Observer& observer) {
    encode(vae.encoder, stages["encoder.input"].to(at::Device(device)), &observer);
    decode(vae.decoder, stages["decoder.input"].to(at::Device(device)), &observer);
  });
}

void check_latent_scaling(const fs::path& file, CheckReport& report) {
  const Golden golden{file.string(), read_golden(file, report), report};
  for (const std::string& name : golden.cases("/scale_in")) {
    const LatentStatistics& statistics = flux2_latent_statistics();
    golden.compare(name, name + "/scale_out",
                   normalize_latents(golden[name + "/scale_in"], statistics), kScalingTolerance);
    golden.compare(name, name + "/reverse_out",
                   denormalize_latents(golden[name + "/reverse_in"], statistics),
                   kScalingTolerance);
  }
}

bool is_autoencoder(const fs::path& path) { return fs::exists(path / kWeights); }
// Latents and pictures without weights: those of TAEF2 lie elsewhere.
bool is_taef2(const fs::path& path) {
  const TensorNames cases = peek_tensors(path / "cases.safetensors");
  const auto is_latent = [](const std::string& name) { return name.ends_with(".latent"); };
  return !is_autoencoder(path) && std::any_of(cases.names.begin(), cases.names.end(), is_latent);
}
bool is_latent_scaling(const fs::path& path) {
  const TensorNames file = peek_tensors(path);
  const auto is_input = [](const std::string& name) { return name.ends_with("/scale_in"); };
  return std::any_of(file.names.begin(), file.names.end(), is_input);
}

bool matches(const fs::path& path) {
  return is_autoencoder(path) || is_taef2(path) || is_latent_scaling(path) ||
         is_vae_list(peek_json(path));
}

void run(const fs::path& path, const std::string& device, CheckReport& report) {
  if (is_vae_list(peek_json(path))) return check_vae_list(path, report);
  if (is_latent_scaling(path)) return check_latent_scaling(path, report);
  if (is_taef2(path)) return check_taef2(path, device, report);
  check_autoencoder(path, device, report);
}

}  // namespace

const CheckFamily kCheckVae = {
    "vae", "autoencoders (FLUX.2, FLUX.1, Qwen-Image, TAEF2) and latent scaling", matches, run};

}  // namespace i1
