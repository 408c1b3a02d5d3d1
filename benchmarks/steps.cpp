// Times whole steps, for benchmarks/compare.sh; prints one JSON line, the fields of reference.py.
//
//   steps guided_step --dtype bfloat16      XL (1.04 B) at 256 px: one guided Euler step
//   steps training_step                     one optimizer step of the nano preset
//   steps decode --dtype bfloat16           FLUX.2's decoder, 512 px
//
// Weights and inputs are random: time does not depend on them.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/chunk.h>
#include <ATen/ops/tensor.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "benchmarks/random_vae.h"
#include "i1/flow/sampler.h"
#include "i1/model/int8.h"
#include "i1/model/weights.h"
#include "i1/train/trainer.h"

namespace i1 {
namespace {

struct Options {
  std::string what, dtype = "bfloat16";
  int num_threads = 2;
  int64_t num_repeats = 10, batch_size = 32, num_tokens = 40, num_valid_tokens = 12;
};

std::vector<double> measure(const std::function<void()>& step, int64_t warm_up, int64_t repeats) {
  for (int64_t i = 0; i < warm_up; ++i) step();
  std::vector<double> seconds;
  for (int64_t i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    step();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return seconds;
}

at::ScalarType dtype_of(const std::string& name) {
  return name == "float32" ? at::kFloat : at::kBFloat16;  // beside int8 weights: bfloat16
}

// The batch is [conditional; unconditional], the adapter runs once before, as in the reference.
std::vector<double> guided_step(const Options& options) {
  const at::NoGradGuard no_grad;
  const RandomStream stream{0, fnv1a("benchmark")};
  const at::ScalarType dtype = dtype_of(options.dtype);
  const ModelConfig config;
  DualStream model = make_dual_stream(config);
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (tensor.is_meta()) tensor = normal_tensor(tensor.sizes(), stream.child(key)) * 0.02;
    tensor = tensor.to(stays_float32(key) ? at::kFloat : dtype);
  });
  if (options.dtype == "int8") quantize_blocks(model);
  const int64_t T = config.num_text_tokens, n = options.num_tokens;
  const at::Tensor states =
      normal_tensor({2, T, config.text_width}, stream.child("text")).to(dtype);
  const at::Tensor adapted =
      adapt(model.text_encoder_adapter, config, captions_from_padded(states));  // (2T, D)
  const Condition condition = gather_condition(adapted, {{0, n}, {T, n}});
  const Layout layout = make_layout(model, config.latent_size, config.latent_size, condition);
  at::Tensor x = normal_tensor({1, config.latent_channels, config.latent_size, config.latent_size},
                               stream.child("noise"));
  return measure(
      [&] {
        const auto halves = at::chunk(velocity(model, at::cat({x, x}), condition, layout), 2);
        x = x + 0.01 * guide(halves[0], halves[1], 0.5, {12, 1, 0});
      },
      1, options.num_repeats);
}

// Latents and text states are given, as from a cache.
std::vector<double> training_step(const Options& options) {
  const RandomStream stream{0, fnv1a("benchmark")};
  TrainConfig config;
  config.model.resolution = 64;
  config.model.latent_size = 8;
  config.model.hidden_size = 288;
  config.model.depth = 9;
  config.model.num_heads = 4;
  config.model.text_width = 256;
  config.model.num_text_tokens = options.num_tokens;
  config.num_steps = 1000;
  TrainState state = initial_state(config, at::kCPU);
  const at::ScalarType dtype = dtype_of(options.dtype);
  Net compute = compute_net(state.weights, dtype);
  Optimizer optimizer(config, state, compute);
  const int64_t B = options.batch_size, n = options.num_valid_tokens;
  NoisyBatch batch;
  batch.image_latents = normal_tensor({B, 32, 8, 8}, stream.child("image"));
  batch.captions.row_offsets = {0};
  std::vector<float> key_bias;
  for (int64_t b = 0; b < B; ++b) {  // n tokens and one row for the padding
    batch.rows.push_back({b * (n + 1), n});
    batch.captions.row_offsets.push_back((b + 1) * (n + 1));
    key_bias.resize(key_bias.size() + static_cast<size_t>(n), 0.0f);
    key_bias.push_back(std::log(static_cast<float>(options.num_tokens - n)));
  }
  batch.captions.states =
      normal_tensor({B * (n + 1), config.model.text_width}, stream.child("text")).to(dtype);
  batch.captions.key_bias = at::tensor(key_bias);
  uint64_t index = 0;
  return measure(
      [&] {
        ++index;
        batch.noise = normal_tensor(batch.image_latents.sizes(), stream.child("noise", index));
        batch.t = sample_times(normal_tensor({B}, stream.child("t", index)), config.time);
        optimizer.accumulate(batch_loss(compute.backbone, batch));
        optimizer.step();
      },
      3, options.num_repeats);
}

std::vector<double> decode(const Options& options) {
  const at::NoGradGuard no_grad;
  const Vae vae = random_vae("flux2", dtype_of(options.dtype));
  const at::Tensor latents =
      normal_tensor({1, vae.latent_channels(), 64, 64}, RandomStream{0, fnv1a("benchmark")});
  return measure([&] { vae.decode(latents); }, 1, options.num_repeats);
}

int run(int argc, char** argv) {
  CLI::App app("Times whole steps; prints one JSON line.");
  Options options;
  app.add_option("WHAT", options.what)
      ->required()
      ->check(CLI::IsMember({"guided_step", "training_step", "decode"}));
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "bfloat16", "int8"}));
  app.add_option("--threads", options.num_threads);
  app.add_option("--repeats", options.num_repeats);
  app.add_option("--batch", options.batch_size);
  app.add_option("--num-tokens", options.num_tokens, "in training: what captions are padded to");
  app.add_option("--num-valid-tokens", options.num_valid_tokens);
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(options.num_threads);
  const bool is_training = options.what == "training_step";
  std::vector<double> seconds = is_training                     ? training_step(options)
                                : options.what == "guided_step" ? guided_step(options)
                                                                : decode(options);
  std::sort(seconds.begin(), seconds.end());
  const double median = (seconds[(seconds.size() - 1) / 2] + seconds[seconds.size() / 2]) / 2;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const nlohmann::ordered_json line = {
      {"what", options.what},
      {"seconds_median", median},
      {"seconds_min", seconds.front()},
      {"seconds_max", seconds.back()},
      {"repeats", seconds.size()},
      {"items_a_second", static_cast<double>(is_training ? options.batch_size : 1) / median},
      {"peak_resident_mb", static_cast<double>(usage.ru_maxrss) / 1024}};
  std::printf("%s\n", line.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) { return i1::run(argc, argv); }
