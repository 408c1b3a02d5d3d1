#include "i1/check/training.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "i1/check/activations.h"
#include "i1/check/golden_files.h"
#include "i1/check/init_stats.h"
#include "i1/core/error.h"
#include "i1/model/weights.h"
#include "i1/train/trainer.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// goldens/training/README.md, "Tolerances".
constexpr double kGradientTolerance = 1e-5, kGradientRelative = 5e-5;
// Behind steps with a bfloat16 first moment: float32 differs from float64 by 1.4e-5 there.
constexpr double kLaterGradientTolerance = 3e-5;
constexpr double kFlowTolerance = 1e-6;
// Twice what float32 differs from float64 there; a bfloat16 first moment may flip by a unit, which
// the later norms show.
constexpr double kMetricTolerance = 4e-5, kLooseMetricTolerance = 1e-4;
constexpr double kTightParameters = 5e-5;                              // float32 first moment
constexpr double kLooseParameters = 1e-3, kLooseParametersRms = 2e-5;  // bfloat16 first moment

fs::path beside(const fs::path& path, const std::string& suffix) {
  return path.parent_path() / (path.stem().string() + suffix + ".safetensors");
}

// A golden's batch: padded captions, all rows distinct; dropped samples take the null caption's
// rows under their own mask.
NoisyBatch golden_batch(const TensorMap& tensors, const std::string& prefix,
                        const std::string& where, const std::vector<bool>& dropped,
                        const std::vector<int64_t>& lengths, const DualStream& model, int64_t begin,
                        int64_t count) {
  check_user(static_cast<int64_t>(dropped.size()) >= begin + count &&
                 (lengths.empty() || lengths.size() == dropped.size()),
             where, ": ", dropped.size(), " entries of \"dropped\", ", lengths.size(),
             " of \"text_lengths\"; expected one a sample");
  const auto part = [&](const char* name) {
    return take(tensors, prefix + name, where).narrow(0, begin, count);
  };
  const at::Tensor caption = part("caption");
  const int64_t T = caption.size(1);
  NoisyBatch batch{part("noise"), part("x1"), part("t"), {}, {}};
  batch.captions = join(captions_from_padded(caption),
                        captions_from_padded(model.text_encoder_adapter.learnable_null_caption));
  for (int64_t b = 0; b < count; ++b) {
    batch.rows.push_back(
        {dropped[begin + b] ? count * T : b * T, lengths.empty() ? T : lengths[begin + b]});
  }
  return batch;
}

double norm_of(const at::Tensor& x) { return x.to(at::kDouble).norm().item<double>(); }

std::vector<int64_t> lengths_of(const json& entry) {
  return entry.is_null() ? std::vector<int64_t>() : entry.get<std::vector<int64_t>>();
}

void compare_number(CheckReport& report, const std::string& golden, const std::string& name,
                    const std::string& stage, double found, double expected, double tolerance) {
  report.compare(golden, name, stage, at::scalar_tensor(found, at::kDouble),
                 at::scalar_tensor(expected, at::kDouble), tolerance);
}

// Every stored gradient, and that there is none elsewhere.
void compare_gradients(const std::string& path, const std::string& case_name, const json& entry,
                       const std::map<std::string, at::Tensor>& gradients, const TensorMap& tensors,
                       CheckReport& report) {
  const std::string prefix = case_name + "/grad/";
  const std::vector<std::string> noise_only =
      entry.value("round_off_only", std::vector<std::string>());
  for (const auto& [key, gradient] : gradients) {
    const std::string name = key.substr(std::string("backbone.").size());
    const auto expected = tensors.find(prefix + name);
    if (expected == tensors.end()) {  // outside the graph, or exactly zero in it
      report.exact(path, case_name, "grad/" + name,
                   gradient.defined() ? gradient.count_nonzero().item<int64_t>() : 0);
      continue;
    }
    if (!gradient.defined()) {
      report.fail(path, case_name, "grad/" + name, "no gradient");
      continue;
    }
    const bool is_noise = std::find(noise_only.begin(), noise_only.end(), name) != noise_only.end();
    const double relative = is_noise ? 0 : kGradientRelative * norm_of(expected->second);
    report.compare(path, case_name, "grad/" + name, gradient, expected->second,
                   std::max(kGradientTolerance, relative));
  }
  for (const auto& [key, expected] : tensors) {
    if (key.starts_with(prefix) && !gradients.contains("backbone." + key.substr(prefix.size())))
      report.fail(path, case_name, key.substr(case_name.size() + 1),
                  "the model has no such tensor");
  }
}

void check_gradient_case(const std::string& path, const std::string& case_name, const json& entry,
                         const TensorMap& weights, const TensorMap& tensors, CheckReport& report) {
  TensorMap own;
  for (const std::string key : entry.at("keys")) {
    const std::string stored = entry.value("stored_as", json::object()).value(key, key);
    own[key] = take(weights, stored, path + ": case " + case_name).clone();
  }
  TrainConfig config;
  config.model = config_from_reference(entry.at("config"));
  TrainState state;
  state.weights.backbone = load_dual_stream(config.model, own, path + ": case " + case_name);
  state.ema = state.mu = state.nu = state.weights;
  Net compute = compute_net(state.weights, at::kFloat);
  Optimizer optimizer(config, state, compute);
  const std::vector<bool> dropped = entry.at("dropped");
  const std::vector<int64_t> lengths = lengths_of(entry.at("text_lengths"));
  const NoisyBatch batch = golden_batch(tensors, "", path, dropped, lengths, compute.backbone, 0,
                                        static_cast<int64_t>(dropped.size()));
  const at::Tensor loss = batch_loss(compute.backbone, batch);
  compare_number(report, path, case_name, "loss", loss.item<double>(), entry.at("loss_float64"),
                 kGradientTolerance);
  optimizer.accumulate(loss);
  compare_gradients(path, case_name, entry, optimizer.gradients(), tensors, report);
  const at::Tensor& stored_mask = take(tensors, "mask", path);
  const at::Tensor mask = lengths.empty() ? at::ones_like(stored_mask) : stored_mask;
  check_activations({path, case_name, batch, dropped, mask}, compute.backbone, tensors,
                    kGradientTolerance, kGradientRelative, report);
}

void check_gradients(const fs::path& path, CheckReport& report) {
  const json cases = read_json(path, report);
  const TensorMap weights = read_golden(beside(path, "_weights"), report);
  const TensorMap tensors = read_golden(beside(path, "_cases"), report);
  for (const auto& [name, entry] : entries_of(cases, path.string()))
    check_gradient_case(path.string(), name, entry, weights, tensors, report);
}

struct Trajectory {
  fs::path path;
  json stored;
  TensorMap init, inputs;
};

TrainState start_of(const Trajectory& golden, const TrainConfig& config) {
  TrainState state;
  TensorMap own;
  for (const auto& [key, tensor] : golden.init) own[key] = tensor.clone();
  state.weights.backbone = load_dual_stream(config.model, own, golden.path.string());
  state.ema = state.mu = state.nu = state.weights;
  const at::ScalarType moment =
      config.first_moment_dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
  const auto fill = [](Net& net, const auto& make) {
    for_each_tensor(
        net, "", [&](const std::string& key, at::Tensor& tensor) { tensor = make(key, tensor); });
  };
  fill(state.ema, [](const std::string&, const at::Tensor& x) { return x.clone(); });
  fill(state.mu, [&](const std::string& key, const at::Tensor& x) {
    return is_trained(key) ? at::zeros_like(x, x.options().dtype(moment)) : at::Tensor();
  });
  fill(state.nu, [](const std::string& key, const at::Tensor& x) {
    return is_trained(key) ? at::zeros_like(x) : at::Tensor();
  });
  return state;
}

void compare_state(const Trajectory& golden, const std::string& run, int64_t step,
                   const TensorMap& expected, TrainState& state, bool is_tight,
                   CheckReport& report) {
  const std::string prefix = concat("step", step, "/");
  const auto compare = [&](Net& net, const std::string& kind) {
    for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
      const std::string name = key.substr(std::string("backbone.").size());
      const auto found = expected.find(prefix + kind + "/" + name);
      if (found == expected.end()) return;
      const std::string stage = prefix + kind + "/" + name;
      report.compare(golden.path.string(), run, stage, tensor, found->second,
                     is_tight ? kTightParameters : kLooseParameters);
      if (is_tight) return;
      const double rms = norm_of(tensor.to(at::kDouble) - found->second.to(at::kDouble)) /
                         std::sqrt(static_cast<double>(tensor.numel()));
      // A single flipped bfloat16 unit in a tensor of a few values has a large rms: the bound is
      // for whole tensors.
      constexpr int64_t kFewValues = 64;
      if (tensor.numel() > kFewValues) {
        compare_number(report, golden.path.string(), run, stage + " (rms)", rms, 0,
                       5 * kLooseParametersRms);
      }
    });
  };
  compare(state.weights, "param");
  compare(state.mu, "mu");
  compare(state.nu, "nu");
  compare(state.ema, "ema");
}

// Before clipping; where they are stored.
void compare_trajectory_gradients(const Trajectory& golden, const std::string& run, int64_t step,
                                  const std::map<std::string, at::Tensor>& gradients,
                                  const TensorMap& expected, bool is_tight, CheckReport& report) {
  const std::string prefix = concat("step", step, "/grad/");
  for (const auto& [key, gradient] : gradients) {
    const auto found = expected.find(prefix + key.substr(std::string("backbone.").size()));
    if (found == expected.end() || !gradient.defined()) continue;
    // In the first step the weights are still the stored ones.
    const double least = step == 1 || is_tight ? kGradientTolerance : kLaterGradientTolerance;
    report.compare(golden.path.string(), run, found->first, gradient, found->second,
                   std::max(least, kGradientRelative * norm_of(found->second)));
  }
}

void check_run(const Trajectory& golden, const std::string& name, const json& run,
               CheckReport& report) {
  TrainConfig config;
  config.model = config_from_reference(golden.stored.at("config"));
  config.learning_rate = golden.stored.at("adam").at("lr");
  config.ema_decay = golden.stored.at("ema_decay");
  config.num_accumulation_steps = count_of(run, "grad_accum", 1, 1000, golden.path.string());
  config.first_moment_dtype = run.at("mu_dtype");
  config.num_steps = static_cast<int64_t>(run.at("steps").size());
  if (name == "no_clip") config.max_gradient_norm = 0;
  const TensorMap expected = read_golden(beside(golden.path, "_" + name), report);
  TrainState state = start_of(golden, config);
  Net compute = compute_net(state.weights, at::kFloat);
  Optimizer optimizer(config, state, compute);
  const bool is_tight = config.first_moment_dtype == "float32";
  for (int64_t step = 1; step <= config.num_steps; ++step) {
    const json& metrics = run.at("steps").at(step - 1);
    const int64_t count = static_cast<int64_t>(golden.stored.at("dropped").at(step - 1).size()) /
                          config.num_accumulation_steps;
    for (int64_t i = 0; i < config.num_accumulation_steps; ++i) {
      optimizer.accumulate(
          batch_loss(compute.backbone,
                     golden_batch(golden.inputs, concat("step", step, "/"), golden.path.string(),
                                  golden.stored.at("dropped").at(step - 1),
                                  lengths_of(golden.stored.at("text_lengths").at(step - 1)),
                                  compute.backbone, i * count, count)));
    }
    compare_trajectory_gradients(golden, name, step, optimizer.gradients(), expected, is_tight,
                                 report);
    const StepMetrics found = optimizer.step();
    const auto compare = [&](const char* key, double value) {
      compare_number(report, golden.path.string(), name, concat("step", step, "/", key), value,
                     metrics.at(key), is_tight ? kMetricTolerance : kLooseMetricTolerance);
    };
    compare("loss", found.loss);
    compare("grad_norm", found.gradient_norm);
    compare("update_norm", found.update_norm);
    compare("l2_params", found.weight_norm);
    compare("l2_ema", found.ema_norm);
    compare_state(golden, name, step, expected, state, is_tight, report);
  }
}

void check_trajectories(const fs::path& path, CheckReport& report) {
  const Trajectory golden = {path, read_json(path, report),
                             read_golden(beside(path, "_init"), report),
                             read_golden(beside(path, "_inputs"), report)};
  for (const auto& [name, run] : entries_of(golden.stored.at("runs"), path.string()))
    check_run(golden, name, run, report);
}

void check_rectified_flow(const fs::path& path, CheckReport& report) {
  const TensorMap tensors = read_golden(beside(path, ""), report);
  for (const json& entry : read_json(path, report)) {
    const std::string name = entry.at("name");
    TimeSampling options;
    options.t_distribution = entry.at("use_lognorm").get<bool>() ? "logit_normal" : "uniform";
    const auto number = [&](const char* key) {
      return entry.at(key).is_number() ? entry.at(key).get<double>() : 0.0;
    };
    options.t_mean = number("lognorm_mu");
    options.t_std = number("lognorm_sigma");
    options.train_timestep_shift = number("train_timestep_shift");
    const at::Tensor t = sample_times(take(tensors, name + "/samples", path.string()), options);
    const at::Tensor &noise = take(tensors, name + "/noise", path.string()),
                     &image = take(tensors, "x1", path.string());
    const auto compare = [&](const std::string& stage, const at::Tensor& found) {
      report.compare(path.string(), name, stage, found,
                     take(tensors, name + "/" + stage, path.string()), kFlowTolerance);
    };
    compare("t", t);
    compare("xt", mix(noise, image, t));
    compare("ut", velocity_target(noise, image));
  }
}

void check_itstime(const fs::path& path, CheckReport& report) {
  for (const json& entry : read_json(path, report)) {
    Due due;
    if (entry.at("every").is_number()) due.every = entry.at("every");
    due.last_step = entry.at("total");
    due.at_last = entry.value("last", true);
    due.at_first = entry.value("first", true);
    if (entry.contains("drop_close_to_last")) {
      const json& drop = entry.at("drop_close_to_last");
      due.drop_close_to_last = drop.is_number() ? drop.get<double>() : 0;
    }
    std::vector<int64_t> steps;
    constexpr int64_t kMostSteps = 100'000'000;
    const int64_t end = count_of(entry, "to_step", -kMostSteps, kMostSteps, path.string());
    for (int64_t step = count_of(entry, "from_step", -kMostSteps, kMostSteps, path.string());
         step <= end; ++step) {
      if (due(step)) steps.push_back(step);
    }
    const std::string name = concat("every ", entry.at("every").dump(), " of ", due.last_step);
    if (entry.contains("true_steps")) {
      const auto expected = entry.at("true_steps").get<std::vector<int64_t>>();
      report.exact(path.string(), name, "steps", steps != expected);
      continue;
    }
    const auto first = entry.at("first_true").get<std::vector<int64_t>>();
    const auto last = entry.at("last_true").get<std::vector<int64_t>>();
    const bool is_equal = steps.size() == entry.at("n_true").get<size_t>() &&
                          std::equal(first.begin(), first.end(), steps.begin()) &&
                          std::equal(last.rbegin(), last.rend(), steps.rbegin());
    report.exact(path.string(), name, "steps", !is_equal);
  }
}

// A format is known by keys that its object, or the first object of its list, has.
struct Format {
  std::vector<const char*> keys;
  void (*run)(const fs::path& path, CheckReport& report);
};

const Format* format_of(const json& stored) {
  static const std::vector<Format> formats = {
      {{"adam", "runs", "ema_decay"}, check_trajectories},
      {{"name", "use_lognorm", "train_timestep_shift"}, check_rectified_flow},
      {{"every", "total", "from_step"}, check_itstime},
      {{"config", "kinds", "seeds"}, check_init_stats}};
  static const Format gradients = {{"config", "keys", "loss_float64"}, check_gradients};
  for (const Format& format : formats) {
    if (has_keys(stored, format.keys)) return &format;
  }
  const bool is_named = stored.is_object() && !stored.empty();  // one object a case
  return is_named && has_keys(stored.begin().value(), gradients.keys) ? &gradients : nullptr;
}

bool matches(const fs::path& path) { return format_of(peek_json(path)) != nullptr; }

void run(const fs::path& path, const std::string&, CheckReport& report) {
  format_of(peek_json(path))->run(path, report);
}

}  // namespace

const CheckFamily kCheckTraining = {
    "training",
    "loss, gradients, optimizer trajectories, times, initial weights, checkpoint schedule", matches,
    run};

}  // namespace i1
