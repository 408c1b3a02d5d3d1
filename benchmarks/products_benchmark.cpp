// The products that a step consists of, beside LibTorch's own, at shapes of XL (256 px) and i1-3B
// (1024 px): flops is the rate. I1_THREADS sets the number of threads (2).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "i1/kernels/attention.h"
#include "i1/kernels/int8_linear.h"
#include "i1/kernels/linear.h"

namespace i1 {
namespace {

void set_threads() {
  const char* threads = std::getenv("I1_THREADS");
  at::set_num_threads(threads != nullptr ? std::atoi(threads) : 2);
}

template <class Function>
void time_of(benchmark::State& state, double flop, const Function& function) {
  const at::NoGradGuard no_grad;
  set_threads();
  function();
  for (auto _ : state) benchmark::DoNotOptimize(function());
  state.counters["flops"] = benchmark::Counter(flop, benchmark::Counter::kIsIterationInvariantRate);
}

// Rows, inputs, outputs.
void shapes(benchmark::internal::Benchmark* benchmark) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{80, 1152, 3456},
                                                             {512, 1152, 3456},
                                                             {512, 3072, 1152},
                                                             {8192, 2016, 6048},
                                                             {8192, 5376, 2016}})
    benchmark->Args(shape);
  benchmark->ArgNames({"rows", "in", "out"})->UseRealTime();
}

struct Layer {
  explicit Layer(const benchmark::State& state)
      : x(at::randn({state.range(0), state.range(1)}).to(at::kBFloat16)),
        weight(at::randn({state.range(2), state.range(1)}).to(at::kBFloat16)),
        bias(at::randn({state.range(2)}).to(at::kBFloat16)),
        flop(2.0 * static_cast<double>(state.range(0) * state.range(1) * state.range(2))) {}

  at::Tensor x, weight, bias;
  double flop;
};

void linear_bfloat16(benchmark::State& state) {
  const Layer l(state);
  time_of(state, l.flop, [&] { return i1::linear(l.x, l.weight, l.bias); });
}
BENCHMARK(linear_bfloat16)->Apply(shapes);

void linear_bfloat16_library(benchmark::State& state) {
  const Layer l(state);
  time_of(state, l.flop, [&] { return at::linear(l.x, l.weight, l.bias); });
}
BENCHMARK(linear_bfloat16_library)->Apply(shapes);

void linear_int8(benchmark::State& state) {
  const Layer l(state);
  const Int8Rows rows = quantize_to_int8(l.weight, kWholeRow);
  const at::Tensor panels = pack_int8(rows.values), scale = rows.scale.flatten();
  time_of(state, l.flop, [&] { return int8_linear(l.x, {panels, scale, l.bias}); });
}
BENCHMARK(linear_int8)->Apply(shapes);

void linear_int8_short_blocks(benchmark::State& state) {
  const Layer l(state);
  const Int8Rows rows = quantize_to_int8(l.weight, kWholeRow);
  const at::Tensor panels = pack_int8(rows.values), scale = rows.scale.flatten();
  time_of(state, l.flop, [&] { return int8_linear(l.x, {panels, scale, l.bias}, kShortBlock); });
}
BENCHMARK(linear_int8_short_blocks)->Apply(shapes);

// Two samples of so many tokens, heads of 72 channels.
struct Heads {
  explicit Heads(const benchmark::State& state) : S(state.range(0)), H(state.range(1)) {
    for (at::Tensor& x : qkv) x = at::randn({2 * S, H, kWidth}).to(at::kBFloat16);
  }
  double flop() const { return 2 * 4.0 * static_cast<double>(S * S * H * kWidth); }

  static constexpr int64_t kWidth = 72;
  int64_t S, H;
  at::Tensor qkv[3];
};

void attention_bfloat16(benchmark::State& state) {
  const Heads h(state);
  const std::vector<Segment> samples = {{0, h.S, 0, 0}, {h.S, h.S, 0, 0}};
  time_of(state, h.flop(), [&] { return attention(h.qkv[0], h.qkv[1], h.qkv[2], samples); });
}
BENCHMARK(attention_bfloat16)->Args({296, 16})->Args({4111, 28})->UseRealTime();

void attention_bfloat16_library(benchmark::State& state) {
  const Heads h(state);
  const auto part = [&](int i) {
    return h.qkv[i].view({2, h.S, h.H, Heads::kWidth}).transpose(1, 2);
  };
  time_of(state, h.flop(),
          [&] { return at::scaled_dot_product_attention(part(0), part(1), part(2)); });
}
BENCHMARK(attention_bfloat16_library)->Args({296, 16})->Args({4111, 28})->UseRealTime();

}  // namespace
}  // namespace i1
