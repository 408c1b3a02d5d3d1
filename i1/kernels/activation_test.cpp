#include "i1/kernels/activation.h"

#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
using Tensors = std::vector<at::Tensor>;

struct Kind {
  const char* name;
  Function fused, twin;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kinds = {
      {"silu", [](const Tensors& t) -> Tensors { return {i1::silu(t[0])}; },
       [](const Tensors& t) -> Tensors { return {reference::silu(t[0])}; }},
      {"gelu", [](const Tensors& t) -> Tensors { return {i1::gelu(t[0])}; },
       [](const Tensors& t) -> Tensors { return {reference::gelu(t[0])}; }}};
  return kinds;
}

// The exponential is off by at most 1 unit and as many epsilons as its argument, of which gelu's
// has a few roundings more; where that argument is large the result is tiny or x itself.
double bound(const at::Tensor& x) {
  const double largest = x.abs().max().item<double>();
  return 16 * kEpsilon * (largest + 1);
}

TEST(Activation, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const Kind& kind : kinds()) {
      for (const int64_t count : edge_widths()) {
        const Tensors inputs = {at::randn({count}) * 3};
        expect_near(kind.fused(inputs)[0], kind.twin(to(at::kDouble, inputs))[0], bound(inputs[0]));
      }
    }
  });
}

TEST(Activation, GradientsEqualThoseOfTheTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const Kind& kind : kinds()) {
      for (const int64_t count : edge_widths()) {
        const Tensors inputs = {at::randn({count}) * 3}, probes = {at::randn({count})};
        const Tensors exact =
            gradients_of(kind.twin, to(at::kDouble, inputs), to(at::kDouble, probes));
        expect_near(gradients_of(kind.fused, inputs, probes)[0], exact[0],
                    bound(inputs[0]) * probes[0].abs().max().item<double>() * 2);
      }
    }
  });
}

TEST(Activation, GradientsOfTheTwinsEqualFiniteDifferences) {
  for (const Kind& kind : kinds())
    expect_gradients_equal_differences(kind.twin, {at::randn({3, 5}, at::kDouble)});
}

TEST(Activation, Bfloat16IsAsGoodAsThePlainOperations) {
  for_each_target([] {
    for (const Kind& kind : kinds()) {
      const Tensors inputs = {(at::randn({7000}) * 3).to(at::kBFloat16)};
      const Tensors probes = {at::randn({7000}).to(at::kBFloat16)};
      const Tensors wide = to(at::kDouble, inputs);
      expect_as_good_as(kind.fused(inputs)[0], kind.twin(inputs)[0], kind.twin(wide)[0], 1.1);
      expect_as_good_as(gradients_of(kind.fused, inputs, probes)[0],
                        gradients_of(kind.twin, inputs, probes)[0],
                        gradients_of(kind.twin, wide, to(at::kDouble, probes))[0], 1.1);
    }
  });
}

TEST(Activation, FarValuesNeitherOverflowNorVanish) {
  for_each_target([] {
    const float infinity = std::numeric_limits<float>::infinity();
    const at::Tensor x = at::tensor({-1e10f, -200.0f, -90.0f, 0.0f, 90.0f, 200.0f, 1e10f});
    for (const Kind& kind : kinds()) {
      expect_near(kind.fused({x})[0] / 1e10, at::clamp_min(x, 0) / 1e10, 1e-7);
      const at::Tensor slopes = at::tensor({0.0f, 0.0f, 0.0f, 0.5f, 1.0f, 1.0f, 1.0f});
      expect_near(gradients_of(kind.fused, {x}, {at::ones({7})})[0], slopes, 1e-5);
      EXPECT_TRUE(at::isnan(kind.fused({at::full({1}, std::nanf(""))})[0]).item<bool>());
      EXPECT_EQ(kind.fused({at::full({1}, infinity)})[0].item<float>(), infinity);
    }
  });
}

TEST(Activation, TakesAnyShapeInItsOwnOrder) {
  const at::Tensor map = at::randn({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(i1::silu(map).is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(at::equal(i1::silu(map), i1::silu(map.contiguous())));
  const at::Tensor apart = at::randn({5, 30}).narrow(1, 3, 22);
  EXPECT_TRUE(at::equal(i1::gelu(apart), i1::gelu(apart.contiguous())));
  const at::Tensor probe = at::randn({22, 5}).t();  // not in the order of x
  const auto slope = [&](const at::Tensor& p) {
    return gradients_of(kinds()[1].fused, {apart}, {p});
  };
  EXPECT_TRUE(at::equal(slope(probe)[0], slope(probe.contiguous())[0]));
  EXPECT_EQ(i1::gelu(at::empty({0, 6})).sizes(), (at::IntArrayRef{0, 6}));
}

// A count that no number of threads divides into whole vectors.
TEST(Activation, DoesNotDependOnTheNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const Kind& kind : kinds()) {
    const Tensors inputs = {at::randn({100'003})}, probes = {at::randn({100'003})};
    at::set_num_threads(1);
    const at::Tensor y = kind.fused(inputs)[0], dx = gradients_of(kind.fused, inputs, probes)[0];
    for (const int threads : {2, 3, 5, 7}) {
      at::set_num_threads(threads);
      EXPECT_TRUE(at::equal(kind.fused(inputs)[0], y)) << kind.name << ", " << threads;
      EXPECT_TRUE(at::equal(gradients_of(kind.fused, inputs, probes)[0], dx))
          << kind.name << ", " << threads;
    }
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace i1
