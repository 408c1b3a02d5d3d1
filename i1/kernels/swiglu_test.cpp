#include "i1/kernels/swiglu.h"

#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
using Tensors = std::vector<at::Tensor>;

Tensors fused(const Tensors& t) { return {swiglu(t[0])}; }
Tensors twin(const Tensors& t) { return {reference::swiglu(t[0])}; }

// The exponential is off by at most 1 unit and |x| epsilons of its argument, a handful of roundings
// follow; the derivative of silu is below 1.1.
double bound(const at::Tensor& gate_up, double slope) {
  const double largest = gate_up.abs().max().item<double>();
  return (largest + 8) * kEpsilon * (largest + 1) * (largest + 1) * slope;
}

TEST(Swiglu, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t F : edge_widths()) {
      for (const int64_t rows : {1, 7}) {
        const Tensors inputs = {at::randn({rows, 2 * F}) * 3};
        expect_near(fused(inputs)[0], twin(to(at::kDouble, inputs))[0], bound(inputs[0], 1));
      }
    }
  });
}

TEST(Swiglu, GradientsEqualThoseOfTheTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t F : edge_widths()) {
      const Tensors inputs = {at::randn({7, 2 * F}) * 3}, probes = {at::randn({7, F})};
      const Tensors exact = gradients_of(twin, to(at::kDouble, inputs), to(at::kDouble, probes));
      expect_near(gradients_of(fused, inputs, probes)[0], exact[0],
                  bound(inputs[0], probes[0].abs().max().item<double>()));
    }
  });
}

TEST(Swiglu, GradientsOfTheTwinEqualFiniteDifferences) {
  expect_gradients_equal_differences(twin, {at::randn({3, 10}, at::kDouble)});
}

TEST(Swiglu, Bfloat16IsAsGoodAsThePlainOperations) {
  for_each_target([] {
    const Tensors inputs = {(at::randn({70, 2 * 144}) * 3).to(at::kBFloat16)};
    const Tensors probes = {at::randn({70, 144}).to(at::kBFloat16)};
    const Tensors wide = to(at::kDouble, inputs);
    expect_as_good_as(fused(inputs)[0], twin(inputs)[0], twin(wide)[0], 2);
    const Tensors plain = gradients_of(twin, inputs, probes);
    const Tensors exact = gradients_of(twin, wide, to(at::kDouble, probes));
    expect_as_good_as(gradients_of(fused, inputs, probes)[0], plain[0], exact[0], 3);
  });
}

TEST(Swiglu, LargeGatesNeitherOverflowNorVanish) {
  for_each_target([] {
    const float infinity = std::numeric_limits<float>::infinity();
    const at::Tensor gate = at::tensor({-1e30f, -200.0f, -90.0f, 0.0f, 90.0f, 200.0f, 1e30f});
    const at::Tensor gate_up = at::cat({gate, at::full({7}, 2.0f)}).view({1, 14});
    const at::Tensor exact = twin({gate_up.to(at::kDouble)})[0];
    const at::Tensor y = swiglu(gate_up);
    EXPECT_LE(((y - exact).abs() / (exact.abs() + 1e-6)).max().item<double>(), 1e-6);
    const at::Tensor slope = gradients_of(fused, {gate_up}, {at::ones({1, 7})})[0].narrow(1, 0, 7);
    expect_near(slope, at::tensor({0.0f, 0.0f, 0.0f, 1.0f, 2.0f, 2.0f, 2.0f}).view({1, 7}), 1e-5);
    EXPECT_TRUE(at::isnan(swiglu(at::full({1, 2}, std::nanf("")))).item<bool>());
    EXPECT_EQ(swiglu(at::full({1, 2}, infinity)).item<float>(), infinity);
  });
}

TEST(Swiglu, ReadsRowsThatAreApart) {
  const at::Tensor apart = at::randn({5, 30}).narrow(1, 3, 22);
  EXPECT_TRUE(at::equal(swiglu(apart), swiglu(apart.contiguous())));
}

TEST(Swiglu, DoesNotDependOnTheNumberOfThreads) {
  const Tensors inputs = {at::randn({300, 2 * 100})}, probes = {at::randn({300, 100})};
  expect_independent_of_threads([&] {
    Tensors results = gradients_of(fused, inputs, probes);
    results.push_back(fused(inputs)[0]);
    return results;
  });
}

TEST(Swiglu, TakesNoRowsAndRefusesAnOddWidth) {
  EXPECT_EQ(swiglu(at::empty({0, 6})).sizes(), (at::IntArrayRef{0, 3}));
  EXPECT_THROW(swiglu(at::randn({2, 5})), c10::Error);
  EXPECT_THROW(swiglu(at::randn({2, 2, 4})), c10::Error);
}

}  // namespace
}  // namespace i1
