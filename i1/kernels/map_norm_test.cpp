#include "i1/kernels/map_norm.h"

#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

constexpr double kEps = 1e-6;

struct Case {
  at::Tensor x, weight, bias;
};

// Values around 3: a norm whose mean is not small.
Case random_case(int64_t B, int64_t C, int64_t H, int64_t W) {
  return {at::randn({B, C, H, W}) * 2 + 3, at::randn({C}), at::randn({C})};
}

at::Tensor exact_norm(const Case& c, int64_t num_groups) {
  return at::group_norm(c.x.to(at::kDouble), num_groups, c.weight.to(at::kDouble),
                        c.bias.to(at::kDouble), kEps);
}

// x * scale + shift rounds both factors and the result once; both terms may be larger than it.
double bound(const Case& c, const MapNorm& norm) {
  const double terms = c.x.abs().max().item<double>() * norm.scale.abs().max().item<double>() +
                       norm.shift.abs().max().item<double>();
  return 2 * kEpsilon * terms;
}

TEST(MapNorm, EqualsGroupNormAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t C : edge_widths()) {
      for (const auto& [H, W] : {std::pair<int64_t, int64_t>{1, 2}, {3, 5}}) {
        const Case c = random_case(2, C, H, W);
        for (const int64_t num_groups : {int64_t{1}, C % 3 == 0 ? int64_t{3} : int64_t{1}}) {
          const MapNorm norm = map_norm(c.x, c.weight, c.bias, num_groups, kEps);
          const at::Tensor exact = exact_norm(c, num_groups);
          expect_near(apply(norm, c.x), exact, bound(c, norm));
          // silu's slope is at most 1.1; its own roundings are those of swiglu_test.cpp.
          expect_near(apply_silu(norm, c.x), at::silu(exact),
                      1.1 * bound(c, norm) + 8 * kEpsilon * (exact.abs().max().item<double>() + 1));
        }
      }
    }
  });
}

TEST(MapNorm, EqualsItsTwin) {
  for_each_target([] {
    const Case c = random_case(2, 24, 6, 7);
    const MapNorm norm = map_norm(c.x, c.weight, c.bias, 4, kEps);
    const MapNorm twin = map_norm(c.x.to(at::kDouble), c.weight, c.bias, 4, kEps);
    expect_near(norm.scale, twin.scale, 1e-12);
    expect_near(norm.shift, twin.shift, 1e-12);
    expect_near(apply(norm, c.x), reference::apply(norm, c.x), bound(c, norm));
  });
}

TEST(MapNorm, Bfloat16IsAsGoodAsThePlainOperations) {
  for_each_target([] {
    Case c = random_case(2, 72, 9, 11);
    c.x = c.x.to(at::kBFloat16);
    const MapNorm norm = map_norm(c.x, c.weight, c.bias, 8, kEps);
    const at::Tensor plain =
        at::group_norm(c.x, 8, c.weight.to(at::kBFloat16), c.bias.to(at::kBFloat16), kEps);
    const at::Tensor exact = exact_norm(c, 8);
    expect_as_good_as(apply(norm, c.x), plain, exact, 1);
    expect_as_good_as(apply_silu(norm, c.x), at::silu(plain), at::silu(exact), 1);
  });
}

TEST(MapNorm, ValuesFarFromZeroKeepTheirVariance) {
  const at::Tensor x = at::randn({1, 8, 40, 40}) + 1000;
  const MapNorm norm = map_norm(x, at::ones({8}), at::zeros({8}), 2, kEps);
  const at::Tensor deviation = at::std(x.to(at::kDouble).view({2, -1}), {1}, 0, false);
  for (const int64_t channel : {0, 7})
    EXPECT_NEAR(norm.scale[0][channel].item<double>() * deviation[channel / 4].item<double>(), 1,
                1e-6);
}

TEST(MapNorm, BandsThreadsAndBatchesChangeNoBit) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Case c = random_case(3, 32, 50, 37);
    c.x = c.x.to(dtype);
    const auto norm_of = [&](const at::Tensor& x) {
      return map_norm(x, c.weight, c.bias, 8, kEps);
    };
    expect_independent_of_threads([&]() -> std::vector<at::Tensor> {
      const MapNorm norm = norm_of(c.x);
      return {norm.scale, norm.shift, apply(norm, c.x), apply_silu(norm, c.x)};
    });
    const MapNorm whole = norm_of(c.x);
    for (const int64_t height : {1, 7, 32, 64}) {
      MapSums sums;
      for (int64_t y = 0; y < 50; y += height) sums.add(c.x.narrow(2, y, std::min(height, 50 - y)));
      const MapNorm norm = sums.norm(c.weight, c.bias, 8, kEps);
      EXPECT_TRUE(at::equal(norm.scale, whole.scale)) << height;
      EXPECT_TRUE(at::equal(norm.shift, whole.shift)) << height;
    }
    const at::Tensor alone = c.x.narrow(0, 1, 1);
    EXPECT_TRUE(at::equal(apply_silu(norm_of(alone), alone)[0], apply_silu(whole, c.x)[1]));
  }
}

TEST(MapNorm, AConstantMapBecomesItsBias) {
  const Case c = {at::full({1, 4, 5, 5}, 0.1), at::ones({4}), at::full({4}, 2.0)};
  const MapNorm norm = map_norm(c.x, c.weight, c.bias, 2, kEps);
  expect_near(apply(norm, c.x), at::full({1, 4, 5, 5}, 2.0), bound(c, norm));
}

TEST(MapNorm, RefusesANormOfAnotherShape) {
  const MapNorm norm = map_norm(at::randn({1, 4, 2, 2}), at::ones({4}), at::ones({4}), 2, kEps);
  EXPECT_THROW(apply(norm, at::randn({2, 4, 2, 2})), c10::Error);
  EXPECT_THROW(apply(norm, at::randn({1, 8, 2, 2})), c10::Error);
}

}  // namespace
}  // namespace i1
