#include "i1/check/sampler.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/chunk.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "i1/check/golden_files.h"
#include "i1/core/error.h"
#include "i1/flow/sampler.h"
#include "i1/io/safetensors.h"
#include "i1/model/weights.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// goldens/dit/README.md, "Tolerances": guidance without rescale amplifies rounding.
constexpr double kTolerance = 5e-5, kAmplifiedTolerance = 1e-2;
constexpr double kJaxTolerance = 2e-4;  // goldens/backbones/README.md, "Tolerances"
// Two float32 evaluations of a grid, each 1.9e-7 from the exact one at most.
constexpr double kGridTolerance = 4e-7;
// The reference builds its grid in bfloat16: k / N, s t, 1 + (s - 1) t and the quotient round by
// half a unit each, of values up to one.
constexpr double kBfloat16GridTolerance = 4 * 0x1p-8;

// Grids of times.

struct GridName {
  int64_t num_steps = 0;
  double shift = 0;
  std::string kind;
};

// n50_shift0.3 or n50_shift0.3/KIND.
std::optional<GridName> grid_name(const std::string& name) {
  GridName grid;
  int end = 0;
  if (std::sscanf(name.c_str(), "n%ld_shift%lf%n", &grid.num_steps, &grid.shift, &end) != 2)
    return std::nullopt;
  const std::string rest = name.substr(static_cast<size_t>(end));
  if (!rest.empty() && rest[0] != '/') return std::nullopt;
  grid.kind = rest.empty() ? rest : rest.substr(1);
  return grid;
}

constexpr int64_t kMostSteps = 1'000'000;

// make_timesteps for a count that a golden gives.
std::vector<float> golden_timesteps(int64_t num_steps, const char* schedule, double shift,
                                    const std::string& where) {
  check_user(num_steps <= kMostSteps, where, ": ", num_steps, " steps, expected at most ",
             kMostSteps);
  return make_timesteps(num_steps, schedule, shift);
}

at::Tensor as_tensor(const std::vector<float>& values) {
  at::Tensor tensor = at::zeros({static_cast<int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<float>());
  return tensor;
}

at::Tensor step_lengths(const at::Tensor& times) {
  const int64_t N = times.size(0) - 1;
  return times.narrow(0, 1, N) - times.narrow(0, 0, N);
}

void check_grids(const fs::path& path, CheckReport& report) {
  for (const auto& [name, expected] : read_golden(path, report)) {
    const GridName grid = *grid_name(name);
    const std::string case_name = concat(grid.num_steps, " steps, shift ", grid.shift);
    const bool is_bfloat16 = grid.kind.starts_with("bf16");
    const double tolerance = is_bfloat16 ? kBfloat16GridTolerance : kGridTolerance;
    const char* note = is_bfloat16 ? "ours is float32" : "";
    const auto compare = [&, &expected = expected](const char* schedule) {
      const at::Tensor times =
          as_tensor(golden_timesteps(grid.num_steps, schedule, grid.shift, path.string()));
      report.compare(path.string(), case_name, concat(schedule, " ", grid.kind), times, expected,
                     tolerance, note);
    };
    compare("shifted");
    if (grid.shift == 0) compare("uniform");
  }
}

// t_N and dt_N of N uniform steps, which round as ours do.
void check_uniform_grids(const fs::path& path, CheckReport& report) {
  const TensorMap tensors = read_golden(path, report);
  for (const auto& [name, expected] : tensors) {
    if (!name.starts_with("t_")) continue;
    const std::string count = name.substr(2);
    const at::Tensor times = as_tensor(make_timesteps(expected.numel(), "uniform", 0));
    report.compare(path.string(), count + " steps", "uniform t",
                   times.narrow(0, 0, expected.numel()), expected, 0);
    report.compare(path.string(), count + " steps", "uniform dt", step_lengths(times),
                   take(tensors, "dt_" + count, path.string()), 0);
  }
}

// What the JSON file tells of each grid: its shortest and its longest step.
void check_grid_steps(const fs::path& path, const json& grids, CheckReport& report) {
  for (const auto& [name, entry] : entries_of(grids, path.string())) {
    const std::optional<GridName> grid = grid_name(name);
    check_user(grid.has_value(), path.string(), ": time grid \"", name,
               "\"; expected a name like n50_shift0.3");
    const at::Tensor lengths = step_lengths(
        as_tensor(golden_timesteps(grid->num_steps, "shifted", grid->shift, path.string())));
    const auto compare = [&, &name = name, &entry = entry](const char* key,
                                                           const at::Tensor& found) {
      report.compare(path.string(), name, key, found,
                     at::zeros({}, at::kDouble) + entry.at(key).get<double>(), kGridTolerance);
    };
    compare("exact_min_step", lengths.min());
    compare("exact_max_step", lengths.max());
  }
}

// Guided runs.

// Captions for both halves of a guided batch, the conditional one first: the null caption, cut or
// padded with zeros to the captions' length, under each sample's own mask, which ends where the
// null caption does.
struct GuidanceBatch {
  at::Tensor text, mask;  // (2B, T, W), (2B, T)
};

GuidanceBatch guidance_batch(const at::Tensor& text, const at::Tensor& mask,
                             const at::Tensor& null_caption) {
  const int64_t B = text.size(0), T = text.size(1), W = text.size(2);
  const int64_t null_length = std::min(T, null_caption.size(1));
  const at::Tensor uncond = at::zeros({B, T, W}, text.options());
  uncond.narrow(1, 0, null_length)
      .copy_(null_caption.narrow(1, 0, null_length).expand({B, -1, -1}));
  at::Tensor uncond_mask = mask.clone();
  uncond_mask.narrow(1, null_length, T - null_length).zero_();
  return {at::cat({text, uncond}), at::cat({mask, uncond_mask})};
}

// The velocities of both halves, (2B, C, h, w), for latents (B, C, h, w).
class BothVelocities {
 public:
  BothVelocities(const DualStream& stored, const at::Tensor& text, const at::Tensor& mask,
                 const at::Tensor& latents, at::Device device)
      : model_(compute_copy(stored, at::kFloat, device)) {
    const GuidanceBatch batch = guidance_batch(text.to(device), mask.to(device),
                                               model_.text_encoder_adapter.learnable_null_caption);
    const at::Tensor adapted =
        adapt(model_.text_encoder_adapter, model_.config, captions_from_padded(batch.text));
    condition_ = condition_from_padded(
        adapted.view({batch.text.size(0), batch.text.size(1), model_.config.hidden_size}),
        batch.mask);
    layout_ = make_layout(model_, latents.size(2), latents.size(3), condition_);
  }

  at::Tensor operator()(const at::Tensor& x_t) const {
    return velocity(model_, at::cat({x_t, x_t}), condition_, layout_);
  }

 private:
  DualStream model_;
  Condition condition_;
  Layout layout_;
};

at::Tensor guide_halves(const at::Tensor& both, double t, const Guidance& guidance) {
  const std::vector<at::Tensor> halves = at::chunk(both, 2);
  return guide(halves[0], halves[1], t, guidance);
}

struct SamplerGolden {
  fs::path path;
  TensorMap tensors;
  at::Device device;
  CheckReport& report;

  at::Tensor at(const std::string& key) const {
    return take(tensors, key, path.string()).to(device);
  }
};

double tolerance_of(const Guidance& guidance) {
  return guidance.rescale == 0 && guidance.scale != 1 ? kAmplifiedTolerance : kTolerance;
}

// The stored velocities of a run against the model's, and what guidance and an Euler step make of
// the stored ones.
void check_velocities(const SamplerGolden& golden, const std::string& name,
                      const at::Tensor& expected, const at::Tensor& latents,
                      const std::vector<at::Tensor>& found, const std::vector<float>& times,
                      const Guidance& guidance) {
  check_user(expected.size(0) == latents.size(0) - 1, golden.path.string(), ": ", expected.size(0),
             " velocities of run ", name, ", expected ", latents.size(0) - 1);
  for (int64_t k = 0; k < expected.size(0); ++k) {
    const auto i = static_cast<size_t>(k);
    const std::string step = concat(" of step ", k + 1);
    golden.report.compare(golden.path.string(), name, "velocity" + step, found.at(i), expected[k],
                          tolerance_of(guidance));
    const at::Tensor guided = guide_halves(expected[k], times[i], guidance);
    golden.report.compare(golden.path.string(), name, "guidance" + step,
                          latents[k] + (times.at(i + 1) - times[i]) * guided, latents[k + 1],
                          kTolerance);
  }
}

void check_run(const SamplerGolden& golden, const BothVelocities& both_velocities,
               const json& run) {
  const std::string name = run.at("name"), stored = run.value("stored_as", name);
  const json& rescale = run.at("cfg_rescale");
  Guidance guidance;
  guidance.scale = run.at("cfg_scale");
  guidance.rescale = rescale.is_null() ? 0 : rescale.get<double>();
  guidance.start = run.value("cfg_interval_start", 0.0);
  const std::vector<float> times = golden_timesteps(
      run.at("num_steps"), "shifted", run.at("inference_timestep_shift"), golden.path.string());
  const at::Tensor latents = golden.at(stored);  // (N + 1, B, C, h, w)
  check_user(latents.size(0) == static_cast<int64_t>(times.size()), golden.path.string(), ": run ",
             name, " has ", latents.size(0), " latents, expected ", times.size());
  std::vector<at::Tensor> velocities;
  const auto guided = [&](const at::Tensor& x_t, double t) {
    velocities.push_back(both_velocities(x_t));
    return guide_halves(velocities.back(), t, guidance);
  };
  const auto compare = [&](int64_t step, const at::Tensor& x_t) {
    golden.report.compare(golden.path.string(), name, concat("latents after step ", step), x_t,
                          latents[step], tolerance_of(guidance));
  };
  golden.report.compare(golden.path.string(), name, "latents before the first step",
                        golden.at("latent0"), latents[0], 0);
  euler(golden.at("latent0"), times, guided, compare);
  if (golden.tensors.contains(stored + "/velocity")) {
    check_velocities(golden, name, golden.at(stored + "/velocity"), latents, velocities, times,
                     guidance);
  }
}

// NAME/text, NAME/mask -> NAME/out_text, NAME/out_mask.
void check_guidance_batches(const SamplerGolden& golden, const at::Tensor& null_caption) {
  for (const auto& [key, expected] : golden.tensors) {
    const size_t end = key.rfind("/out_text");
    if (end == std::string::npos) continue;
    const std::string name = key.substr(0, end);
    const GuidanceBatch batch = guidance_batch(golden.at(name + "/text"), golden.at(name + "/mask"),
                                               null_caption.to(golden.device));
    golden.report.compare(golden.path.string(), name, "text of both halves", batch.text, expected,
                          0);
    golden.report.compare(golden.path.string(), name, "mask of both halves", batch.mask,
                          golden.at(name + "/out_mask"), 0);
  }
}

void check_runs(const fs::path& path, const std::string& device, CheckReport& report) {
  const json stored = read_json(path, report);
  fs::path tensors = path;
  const SamplerGolden golden = {path,
                                read_golden(tensors.replace_extension(".safetensors"), report),
                                at::Device(device), report};
  const fs::path weights = path.parent_path() / stored.at("weights").get<std::string>();
  const StoredBackbone backbone = read_backbone(weights);
  report.use(weights);
  const DualStream model = load_dual_stream(backbone.config, backbone.tensors, weights.string());
  const BothVelocities both_velocities(model, golden.at("text"), golden.at("mask"),
                                       golden.at("latent0"), golden.device);
  for (const json& run : stored.at("runs")) check_run(golden, both_velocities, run);
  check_guidance_batches(golden, model.text_encoder_adapter.learnable_null_caption);
  if (stored.contains("time_grids")) check_grid_steps(path, stored["time_grids"], report);
}

// Runs of the JAX code with the weights of its own checkpoint.

bool is_jax_run(const TensorNames& file) {
  const auto family = file.metadata.find("family");
  return file.has("x0") && file.has("trajectory") && file.metadata.contains("num_steps") &&
         file.metadata.contains("guidance_scale") && file.metadata.contains("cfg_rescale") &&
         file.metadata.contains("transport") && family != file.metadata.end() &&
         family->second == "dual_stream" && !file.metadata.contains("params");
}

fs::path jax_weights(const fs::path& golden) {
  const fs::path folder = fs::absolute(golden).parent_path().parent_path() / "npz";
  std::vector<fs::path> found;
  if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().string().find(".npz") != std::string::npos)
        found.push_back(entry.path());
    }
  }
  check_user(!found.empty(), golden.string(), ": no JAX checkpoint in ", folder.string(),
             "; expected checkpoint.npz, with or without a step behind it");
  return *std::min_element(found.begin(), found.end());
}

void check_jax_run(const fs::path& path, const std::string& device, CheckReport& report) {
  const Metadata metadata = peek_tensors(path).metadata;
  const json transport = json::parse(metadata.at("transport")),
             scale = json::parse(metadata.at("guidance_scale"));
  if (transport.at("prediction") != "velocity" || !scale.is_number()) {
    return report.leave_out(path, "this version samples velocities under one guidance scale");
  }
  const SamplerGolden golden = {path, read_golden(path, report), at::Device(device), report};
  const StoredBackbone backbone = read_backbone(jax_weights(path));
  const DualStream model = load_dual_stream(backbone.config, backbone.tensors, path.string());
  const BothVelocities both_velocities(model, golden.at("caption"), golden.at("mask"),
                                       golden.at("x0"), golden.device);
  const int64_t num_steps = json::parse(metadata.at("num_steps"));
  Guidance guidance;
  guidance.scale = scale;
  guidance.rescale = json::parse(metadata.at("cfg_rescale"));
  guidance.start = transport.value("cfg_interval_start", 0.0);
  guidance.std_kind = StdKind::kPopulation;
  const std::vector<float> times = golden_timesteps(num_steps, "uniform", 0, path.string());
  const at::Tensor trajectory = golden.at("trajectory");
  check_user(trajectory.size(0) == num_steps, path.string(), ": ", trajectory.size(0),
             " latents of a run, expected ", num_steps);
  const std::string name = metadata.at("variant");
  const auto guided = [&](const at::Tensor& x_t, double t) {
    return guide_halves(both_velocities(x_t), t, guidance);
  };
  const auto compare = [&](int64_t step, const at::Tensor& x_t) {
    report.compare(path.string(), name, concat("latents after step ", step), x_t,
                   trajectory[step - 1], kJaxTolerance);
  };
  const at::Tensor end = euler(golden.at("x0"), times, guided, compare);
  report.compare(path.string(), name, "latents_f64", end, golden.at("latents_f64"), kJaxTolerance);
}

// What a file is.

bool is_runs(const json& stored) {
  return stored.is_object() && has_keys(stored, {"runs", "weights"}) && stored["runs"].is_array();
}

bool all_names(const TensorNames& file, bool (*is_one)(const std::string& name)) {
  return !file.names.empty() && std::all_of(file.names.begin(), file.names.end(), is_one);
}

bool is_grids(const TensorNames& file) {
  return all_names(file, [](const std::string& name) {
    const std::optional<GridName> grid = grid_name(name);
    return grid.has_value() && !grid->kind.empty();
  });
}

bool is_uniform_grids(const TensorNames& file) {
  return all_names(file, [](const std::string& name) {
    const size_t begin = name.starts_with("dt_") ? 3 : 2;
    return (name.starts_with("t_") || begin == 3) && name.size() > begin &&
           name.find_first_not_of("0123456789", begin) == std::string::npos;
  });
}

bool matches(const fs::path& path) {
  if (is_runs(peek_json(path))) return true;
  const TensorNames file = peek_tensors(path);
  return is_grids(file) || is_uniform_grids(file) || is_jax_run(file);
}

void run(const fs::path& path, const std::string& device, CheckReport& report) {
  if (path.extension() == ".json") return check_runs(path, device, report);
  const TensorNames file = peek_tensors(path);
  if (is_grids(file)) return check_grids(path, report);
  if (is_uniform_grids(file)) return check_uniform_grids(path, report);
  check_jax_run(path, device, report);
}

}  // namespace

const CheckFamily kCheckSampler = {
    "sampler", "grids of times, guidance, rescale, guided Euler runs", matches, run};

}  // namespace i1
