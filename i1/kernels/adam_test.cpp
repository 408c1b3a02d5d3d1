#include "i1/kernels/adam.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "i1/core/random.h"

namespace i1 {
namespace {

struct Kind {
  at::ScalarType gradient, moment;
  bool has_copy;
};

constexpr Kind kKinds[] = {{at::kBFloat16, at::kBFloat16, true},
                           {at::kFloat, at::kBFloat16, false},
                           {at::kFloat, at::kFloat, false},
                           {at::kFloat, at::kBFloat16, true},
                           {at::kBFloat16, at::kFloat, true}};

at::Tensor numbers(int64_t n, uint64_t id) { return normal_tensor({n}, {7, id}); }

std::vector<AdamParameter> make_parameters(const Kind& kind) {
  std::vector<AdamParameter> parameters;
  uint64_t id = 0;
  for (const int64_t n : {1, 7, 8, 9, 1000, 40'000}) {
    AdamParameter p;
    p.weight = numbers(n, ++id);
    p.mu = (numbers(n, ++id) * 0.1).to(kind.moment);
    p.nu = numbers(n, ++id).square() * 0.01 + 0.01;  // no divisor near 0, where rounding would grow
    p.ema = numbers(n, ++id);
    p.gradient =
        n == 9 ? at::Tensor() : numbers(n, ++id).to(kind.gradient);  // one without gradient
    if (kind.has_copy) p.compute_weight = p.weight.to(at::kBFloat16);
    parameters.push_back(p);
  }
  return parameters;
}

// Not a power of two: mu and the scaled gradient would share bfloat16's grid, and one sum in
// seventy would lie midway between two of its values, where float32's last bit decides.
constexpr double kGradientScale = 0.487;

TEST(Adam, EqualsItsTwinForEveryKindOfParameter) {
  for (const Kind& kind : kKinds) {
    const auto fused = make_parameters(kind), plain = make_parameters(kind);
    for (int64_t step = 1; step <= 3; ++step) {
      const AdamSquares a = adam_step(fused, {}, step, kGradientScale),
                        b = reference::adam_step(plain, {}, step, kGradientScale);
      EXPECT_NEAR(a.update / b.update, 1, 1e-5);
      EXPECT_NEAR(a.weight / b.weight, 1, 1e-5);
      EXPECT_NEAR(a.ema / b.ema, 1, 1e-5);
    }
    for (size_t i = 0; i < fused.size(); ++i) {
      const auto close = [&](const at::Tensor& x, const at::Tensor& y, double bound,
                             const char* what) {
        const double difference =
            (x.to(at::kDouble) - y.to(at::kDouble)).abs().max().item<double>();
        EXPECT_LE(difference, bound) << what << " of parameter " << i;
      };
      close(fused[i].weight, plain[i].weight, 2e-6, "weight");
      close(fused[i].ema, plain[i].ema, 2e-6, "ema");
      close(fused[i].nu, plain[i].nu, 2e-6, "nu");
      close(fused[i].mu, plain[i].mu, kind.moment == at::kFloat ? 1e-6 : 4e-3,
            "mu");  // one bfloat16 step
      if (kind.has_copy)
        close(fused[i].compute_weight, fused[i].weight.to(at::kBFloat16), 0, "copy");
    }
  }
}

TEST(Adam, TheUpdateUsesTheMomentBeforeItIsRounded) {
  AdamParameter p{at::zeros({1}),      at::full({1}, 1.0f), at::full({1}, 1.0f).to(at::kBFloat16),
                  at::full({1}, 1.0f), at::zeros({1}),      {}};
  AdamOptions options;
  options.beta1 = 0.999;  // mu = 0.999 + 0.001 * 1.01, which bfloat16 cannot hold
  options.learning_rate = 1;
  p.gradient.fill_(1.01);
  adam_step({p}, options, 1, 1);
  const double mu = 0.999 + 0.001 * 1.01, nu = 0.95 + 0.05 * 1.01 * 1.01;
  const double expected = -(mu / 0.001) / (std::sqrt(nu / 0.05) + 1e-8);
  EXPECT_NEAR(p.weight.item<double>() / expected, 1, 2e-4);  // 1 - 0.999 loses digits in float32
  EXPECT_EQ(p.mu.item<float>(), 1.0f);
}

TEST(Adam, SumOfSquaresTakesMixedTensors) {
  const at::Tensor a = numbers(100'003, 1), b = numbers(17, 2).to(at::kBFloat16);
  const double expected = reference::sum_of_squares({a, b});
  EXPECT_NEAR(sum_of_squares({a, at::Tensor(), b}) / expected, 1, 1e-6);
}

TEST(Adam, ClippingLeavesSmallGradientsAlone) {
  EXPECT_EQ(clip_scale(0.5, 1), 1);
  EXPECT_EQ(clip_scale(4, 1), 0.25);
  EXPECT_EQ(clip_scale(4, 0), 1);
}

}  // namespace
}  // namespace i1
