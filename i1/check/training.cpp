#include "i1/check/training.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/model/weights.h"
#include "i1/train/trainer.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// goldens/training/README.md, "Tolerances".
constexpr double kGradientTolerance = 1e-5, kGradientRelative = 5e-5;
constexpr double kFlowTolerance = 1e-6;
// Twice what float32 differs from float64 there; a bfloat16 first moment may flip by a unit, which
// the later norms show.
constexpr double kMetricTolerance = 4e-5, kLooseMetricTolerance = 1e-4;
constexpr double kTightParameters = 5e-5;                              // float32 first moment
constexpr double kLooseParameters = 1e-3, kLooseParametersRms = 2e-5;  // bfloat16 first moment

json read_json(const fs::path& path) {
  json stored = json::parse(read_file(path), nullptr, false);
  check_user(!stored.is_discarded(), path.string(), ": not JSON");
  return stored;
}

fs::path beside(const fs::path& path, const std::string& suffix) {
  return path.parent_path() / (path.stem().string() + suffix + ".safetensors");
}

const at::Tensor& take(const TensorMap& tensors, const std::string& key) {
  const auto found = tensors.find(key);
  check_user(found != tensors.end(), "golden: no tensor \"", key, "\"");
  return found->second;
}

// A golden's batch: padded captions, all rows distinct; dropped samples take the null caption's
// rows under their own mask.
NoisyBatch golden_batch(const TensorMap& tensors, const std::string& prefix,
                        const std::vector<bool>& dropped, const std::vector<int64_t>& lengths,
                        const DualStream& model, int64_t begin, int64_t count) {
  const auto part = [&](const char* name) {
    return take(tensors, prefix + name).narrow(0, begin, count);
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

void check_gradients(const fs::path& path, CheckReport& report) {
  const json cases = read_json(path);
  const TensorMap weights = read_safetensors(beside(path, "_weights")).tensors;
  const TensorMap tensors = read_safetensors(beside(path, "_cases")).tensors;
  for (const auto& item : cases.items()) {
    const json& entry = item.value();
    TensorMap own;
    for (const std::string key : entry.at("keys")) {
      own[key] = take(weights, entry.value("stored_as", json::object()).value(key, key)).clone();
    }
    TrainConfig config;
    config.model = config_from_reference(entry.at("config"));
    TrainState state;
    state.weights.backbone = load_dual_stream(config.model, own, path.string() + ": " + item.key());
    state.ema = state.mu = state.nu = state.weights;
    Net compute = compute_net(state.weights, at::kFloat);
    Optimizer optimizer(config, state, compute);
    const at::Tensor loss =
        batch_loss(compute.backbone,
                   golden_batch(tensors, "", entry.at("dropped"),
                                lengths_of(entry.at("text_lengths")), compute.backbone, 0, 4));
    compare_number(report, path.string(), item.key(), "loss", loss.item<double>(),
                   entry.at("loss_float64"), 1e-5);
    optimizer.accumulate(loss);
    const std::vector<std::string> noise_only =
        entry.value("round_off_only", std::vector<std::string>());
    for (const auto& [key, gradient] : optimizer.gradients()) {
      const std::string name = key.substr(std::string("backbone.").size());
      const auto expected = tensors.find(item.key() + "/grad/" + name);
      if (expected == tensors.end()) {  // outside the graph, or exactly zero in it
        report.exact(path.string(), item.key(), "grad/" + name,
                     gradient.defined() ? gradient.count_nonzero().item<int64_t>() : 0);
        continue;
      }
      if (!gradient.defined()) {
        report.fail(path.string(), item.key(), "grad/" + name, "no gradient");
        continue;
      }
      const bool is_noise =
          std::find(noise_only.begin(), noise_only.end(), name) != noise_only.end();
      const double relative = is_noise ? 0 : kGradientRelative * norm_of(expected->second);
      report.compare(path.string(), item.key(), "grad/" + name, gradient, expected->second,
                     std::max(kGradientTolerance, relative));
    }
  }
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

void check_run(const Trajectory& golden, const std::string& name, const json& run,
               CheckReport& report) {
  TrainConfig config;
  config.model = config_from_reference(golden.stored.at("config"));
  config.learning_rate = golden.stored.at("adam").at("lr");
  config.ema_decay = golden.stored.at("ema_decay");
  config.num_accumulation_steps = run.at("grad_accum");
  config.first_moment_dtype = run.at("mu_dtype");
  config.num_steps = static_cast<int64_t>(run.at("steps").size());
  if (name == "no_clip") config.max_gradient_norm = 0;
  const TensorMap expected = read_safetensors(beside(golden.path, "_" + name)).tensors;
  TrainState state = start_of(golden, config);
  Net compute = compute_net(state.weights, at::kFloat);
  Optimizer optimizer(config, state, compute);
  const bool is_tight = config.first_moment_dtype == "float32";
  for (int64_t step = 1; step <= config.num_steps; ++step) {
    const json& metrics = run.at("steps").at(step - 1);
    const int64_t count = 4 / config.num_accumulation_steps;
    for (int64_t i = 0; i < config.num_accumulation_steps; ++i) {
      optimizer.accumulate(batch_loss(
          compute.backbone, golden_batch(golden.inputs, concat("step", step, "/"),
                                         golden.stored.at("dropped").at(step - 1),
                                         lengths_of(golden.stored.at("text_lengths").at(step - 1)),
                                         compute.backbone, i * count, count)));
    }
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
  const Trajectory golden = {path, read_json(path), read_safetensors(beside(path, "_init")).tensors,
                             read_safetensors(beside(path, "_inputs")).tensors};
  for (const auto& run : golden.stored.at("runs").items())
    check_run(golden, run.key(), run.value(), report);
}

void check_rectified_flow(const fs::path& path, CheckReport& report) {
  const TensorMap tensors = read_safetensors(beside(path, "")).tensors;
  for (const json& entry : read_json(path)) {
    const std::string name = entry.at("name");
    TimeSampling options;
    options.t_distribution = entry.at("use_lognorm").get<bool>() ? "logit_normal" : "uniform";
    const auto number = [&](const char* key) {
      return entry.at(key).is_number() ? entry.at(key).get<double>() : 0.0;
    };
    options.t_mean = number("lognorm_mu");
    options.t_std = number("lognorm_sigma");
    options.train_timestep_shift = number("train_timestep_shift");
    const at::Tensor t = sample_times(take(tensors, name + "/samples"), options);
    const at::Tensor &noise = take(tensors, name + "/noise"), &image = take(tensors, "x1");
    report.compare(path.string(), name, "t", t, take(tensors, name + "/t"), kFlowTolerance);
    report.compare(path.string(), name, "xt", mix(noise, image, t), take(tensors, name + "/xt"),
                   kFlowTolerance);
    report.compare(path.string(), name, "ut", velocity_target(noise, image),
                   take(tensors, name + "/ut"), kFlowTolerance);
  }
}

void check_itstime(const fs::path& path, CheckReport& report) {
  for (const json& entry : read_json(path)) {
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
    for (int64_t step = entry.at("from_step"); step <= entry.at("to_step").get<int64_t>(); ++step) {
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

bool matches(const fs::path& path) {
  if (path.extension() != ".json") return false;
  const std::string name = path.stem().string();
  return (name == "gradients" && fs::exists(beside(path, "_cases"))) ||
         (name == "trajectory" && fs::exists(beside(path, "_init"))) ||
         (name == "rectified_flow" && fs::exists(beside(path, ""))) || name == "itstime";
}

void run(const fs::path& path, const std::string&, CheckReport& report) {
  const std::string name = path.stem().string();
  if (name == "gradients") return check_gradients(path, report);
  if (name == "trajectory") return check_trajectories(path, report);
  if (name == "rectified_flow") return check_rectified_flow(path, report);
  check_itstime(path, report);
}

}  // namespace

const CheckFamily kCheckTraining = {
    "training", "loss, gradients, optimizer trajectories, times, schedules of checkpoints", matches,
    run};

}  // namespace i1
