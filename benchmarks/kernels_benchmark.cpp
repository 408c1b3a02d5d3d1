// Each fused operation beside its plain twin, forward and backward, timed in turn within one run,
// so that what else the machine does hits both. Shapes of one block of the nano preset: 2,048 rows
// of a packed batch. Columns: fused_us and twin_us are the fastest of all repetitions, ratio = twin
// / fused; I1_THREADS sets the number of threads (1).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>

#include "i1/kernels/adam.h"
#include "i1/kernels/joint_linear.h"
#include "i1/kernels/qk_norm_rope.h"
#include "i1/kernels/rms_norm.h"
#include "i1/kernels/swiglu.h"

namespace i1 {
namespace {

constexpr int64_t N = 2048, M = 1024, D = 288, H = 4, E = 72, F = 768;

using Tensors = std::vector<at::Tensor>;
using Operation = std::function<Tensors(const Tensors&)>;

double microseconds(const std::function<void()>& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

void compare(benchmark::State& state, const std::function<void()>& fused,
             const std::function<void()>& twin, double giga_operations = 0) {
  fused();
  twin();
  double fused_us = 1e30, twin_us = 1e30;
  for (auto _ : state) {
    const double us = microseconds(fused);
    state.SetIterationTime(us * 1e-6);
    fused_us = std::min(fused_us, us);
    twin_us = std::min(twin_us, microseconds(twin));
  }
  state.counters["fused_us"] = fused_us;
  state.counters["twin_us"] = twin_us;
  state.counters["ratio"] = twin_us / fused_us;
  if (giga_operations > 0) state.counters["GFLOP/s"] = giga_operations / fused_us * 1e6;
}

// The first `num_narrow` inputs get the dtype of the run, all that are floating-point require
// gradients.
struct Case {
  std::string name;
  Tensors inputs;
  size_t num_narrow, num_differentiable;
  Operation fused, twin;
  double giga_operations = 0;  // of the forward pass; the backward pass has twice as many
};

void forward(benchmark::State& state, const Case& c, const Tensors& inputs) {
  const at::NoGradGuard no_grad;
  compare(
      state, [&] { benchmark::DoNotOptimize(c.fused(inputs)); },
      [&] { benchmark::DoNotOptimize(c.twin(inputs)); }, c.giga_operations);
}

void backward(benchmark::State& state, const Case& c, const Tensors& inputs) {
  Tensors leaves;
  for (size_t k = 0; k < inputs.size(); ++k) {
    leaves.push_back(inputs[k].detach().requires_grad_(k < c.num_differentiable));
  }
  const Tensors wanted(leaves.begin(), leaves.begin() + static_cast<int64_t>(c.num_differentiable));
  const auto run = [&](const Tensors& outputs, const Tensors& probes) {
    return torch::autograd::grad(outputs, wanted, probes, /*retain_graph=*/true);
  };
  const Tensors fused = c.fused(leaves), twin = c.twin(leaves);
  Tensors probes;
  for (const at::Tensor& output : fused)
    probes.push_back(at::randn(output.sizes()).to(output.dtype()));
  compare(
      state, [&] { benchmark::DoNotOptimize(run(fused, probes)); },
      [&] { benchmark::DoNotOptimize(run(twin, probes)); }, 2 * c.giga_operations);
}

void add(const Case& c) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    Tensors inputs = c.inputs;
    for (size_t k = 0; k < c.num_narrow; ++k) inputs[k] = inputs[k].to(dtype);
    const std::string suffix = dtype == at::kFloat ? "/float32" : "/bfloat16";
    for (const auto& [pass, run] : {std::pair{"/forward", &forward}, {"/backward", &backward}}) {
      benchmark::RegisterBenchmark(
          (c.name + pass + suffix).c_str(),
          [c, inputs, run = run](benchmark::State& state) { run(state, c, inputs); })
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

void add_linear(const std::string& name, int64_t in, int64_t out) {
  add({name,
       {at::randn({N, in}), at::randn({out, in}), at::randn({out}), at::randn({out, in}),
        at::randn({out})},
       5,
       5,
       [](const Tensors& t) { return Tensors{joint_linear(t[0], M, t[1], t[2], t[3], t[4])}; },
       [](const Tensors& t) {
         return Tensors{reference::joint_linear(t[0], M, t[1], t[2], t[3], t[4])};
       },
       2e-9 * static_cast<double>(N * in * out)});
}

void add_operations() {
  add_linear("joint_linear/qkv", D, 3 * D);
  add_linear("joint_linear/proj", D, D);
  add_linear("joint_linear/w12", D, 2 * F);
  add_linear("joint_linear/w3", F, D);
  add({"rms_norm",
       {at::randn({N, D}), at::rand({D})},
       1,
       2,
       [](const Tensors& t) { return Tensors{rms_norm(t[0], t[1])}; },
       [](const Tensors& t) { return Tensors{reference::rms_norm(t[0], t[1])}; }});
  add({"add_rms_norm",
       {at::randn({N, D}), at::randn({N, D}), at::rand({D})},
       2,
       3,
       [](const Tensors& t) { return Tensors{add_rms_norm(t[0], t[1], t[2])}; },
       [](const Tensors& t) { return Tensors{reference::add_rms_norm(t[0], t[1], t[2])}; }});
  const auto list = [](const Qkv& heads) { return Tensors{heads.q, heads.k, heads.v}; };
  const at::Tensor angles = at::rand({N, E / 2}) * 6;
  add({"qk_norm_rope",
       {at::randn({N, 3 * H * E}), at::rand({E}), at::rand({E}), at::cos(angles), at::sin(angles)},
       1,
       3,
       [=](const Tensors& t) { return list(qk_norm_rope(t[0], H, t[1], t[2], t[3], t[4])); },
       [=](const Tensors& t) {
         return list(reference::qk_norm_rope(t[0], H, t[1], t[2], t[3], t[4]));
       }});
  add({"swiglu",
       {at::randn({N, 2 * F})},
       1,
       1,
       [](const Tensors& t) { return Tensors{swiglu(t[0])}; },
       [](const Tensors& t) { return Tensors{reference::swiglu(t[0])}; }});
}

// A block's worth of parameters, with EMA and compute copies.
void add_adam() {
  for (const at::ScalarType mu_dtype : {at::kBFloat16, at::kFloat}) {
    std::vector<AdamParameter> parameters;
    for (const auto& shape : {std::vector<int64_t>{3 * D, D}, {D, D}, {2 * F, D}, {D, F}, {D}}) {
      const at::Tensor weight = at::randn(shape);
      parameters.push_back({weight, at::randn(shape).to(at::kBFloat16),
                            at::zeros(shape, at::TensorOptions(mu_dtype)), at::zeros(shape),
                            weight.clone(), weight.to(at::kBFloat16)});
    }
    const std::string suffix = mu_dtype == at::kFloat ? "/mu_float32" : "/mu_bfloat16";
    benchmark::RegisterBenchmark(("adam_step" + suffix).c_str(),
                                 [=](benchmark::State& state) {
                                   compare(
                                       state, [&] { adam_step(parameters, {}, 7); },
                                       [&] { reference::adam_step(parameters, {}, 7); });
                                 })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) {
  const char* num_threads = std::getenv("I1_THREADS");
  at::set_num_threads(num_threads != nullptr ? std::atoi(num_threads) : 1);
  i1::add_operations();
  i1::add_adam();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
