#include "i1/kernels/joint_linear.h"

#include "i1/kernels/column_sum.h"
#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

std::vector<at::Tensor> random_inputs(int64_t N, int64_t in, int64_t out, at::ScalarType dtype) {
  const auto options = at::TensorOptions(dtype);
  return {at::randn({N, in}, options), at::randn({out, in}, options), at::randn({out}, options),
          at::randn({out, in}, options), at::randn({out}, options)};
}

Function fused(int64_t M) {
  return [M](const std::vector<at::Tensor>& t) -> std::vector<at::Tensor> {
    return {joint_linear(t[0], M, t[1], t[2], t[3], t[4])};
  };
}

Function twin(int64_t M) {
  return [M](const std::vector<at::Tensor>& t) -> std::vector<at::Tensor> {
    return {reference::joint_linear(t[0], M, t[1], t[2], t[3], t[4])};
  };
}

TEST(ColumnSum, EqualsTheSumAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t columns : edge_widths()) {
      for (const int64_t rows : {0, 1, 5, 64, 65, 1000}) {
        const at::Tensor x = at::randn({rows, columns});
        const at::Tensor exact = x.to(at::kDouble).sum(0);
        const double additions = 64 + static_cast<double>(rows) / 64 + 1;
        const double bound =
            additions * kEpsilon * (rows == 0 ? 0 : x.abs().sum(0).max().item<double>());
        expect_near(column_sum(x, at::kFloat), exact, bound);
        const at::Tensor half = x.to(at::kBFloat16);
        expect_near(column_sum(half, at::kFloat), half.to(at::kDouble).sum(0), bound);
      }
    }
  });
}

TEST(ColumnSum, ReadsRowsThatAreApartAndMisaligned) {
  for_each_target([] {
    const at::Tensor x = at::randn({37, 50}).narrow(1, 3, 41);
    expect_near(column_sum(x, at::kFloat), x.to(at::kDouble).sum(0), 70 * kEpsilon * 37);
  });
}

TEST(ColumnSum, RoundsToTheNearestBfloat16) {
  for_each_target([] {
    const at::Tensor x = at::randn({1, 333});
    EXPECT_TRUE(at::equal(column_sum(x, at::kBFloat16), x[0].to(at::kBFloat16)));
    const at::Tensor odd = at::full({1, 20}, std::numeric_limits<float>::quiet_NaN());
    EXPECT_TRUE(at::isnan(column_sum(odd, at::kBFloat16)).all().item<bool>());
  });
}

TEST(JointLinear, EqualsItsTwinForAnySplitOfTheRows) {
  for (const auto& [in, out] : {std::pair{1, 1}, {7, 3}, {16, 33}, {72, 216}}) {
    for (const int64_t M : {0, 1, 13, 20}) {
      const std::vector<at::Tensor> inputs = random_inputs(20, in, out, at::kFloat);
      const at::Tensor y = fused(M)(inputs)[0];
      const at::Tensor largest_weight = at::maximum(inputs[1].abs().max(), inputs[3].abs().max());
      const double terms = (inputs[0].abs().max() * largest_weight * in + 4).item<double>();
      const double bound = (in + 2) * kEpsilon * terms;  // sums of `in` products and a bias
      expect_near(y, twin(M)(inputs)[0], bound);
    }
  }
}

TEST(JointLinear, GradientsEqualFiniteDifferencesInDoublePrecision) {
  expect_gradients_equal_differences(twin(3), random_inputs(5, 4, 3, at::kDouble));
  expect_gradients_equal_differences(fused(3), random_inputs(5, 4, 3, at::kDouble));
}

TEST(JointLinear, GradientsEqualThoseOfTheTwin) {
  for (const int64_t M : {1, 13, 19}) {
    const std::vector<at::Tensor> inputs = random_inputs(20, 24, 18, at::kFloat);
    const std::vector<at::Tensor> probes = {at::randn({20, 18})};
    const auto ours = gradients_of(fused(M), inputs, probes);
    const auto exact = gradients_of(twin(M), to(at::kDouble, inputs), to(at::kDouble, probes));
    // sums of at most 24 products of numbers below 5
    for (size_t k = 0; k < ours.size(); ++k)
      expect_near(ours[k], exact[k], 26 * kEpsilon * 24 * 25);
  }
}

TEST(JointLinear, Bfloat16IsAsGoodAsThePlainOperations) {
  const std::vector<at::Tensor> inputs = random_inputs(70, 72, 144, at::kBFloat16);
  const std::vector<at::Tensor> probes = {at::randn({70, 144}).to(at::kBFloat16)};
  const auto wide_inputs = to(at::kDouble, inputs);
  expect_as_good_as(fused(50)(inputs)[0], twin(50)(inputs)[0], twin(50)(wide_inputs)[0], 2);
  const auto ours = gradients_of(fused(50), inputs, probes);
  const auto plain = gradients_of(twin(50), inputs, probes);
  const auto exact = gradients_of(twin(50), wide_inputs, to(at::kDouble, probes));
  for (size_t k = 0; k < ours.size(); ++k) expect_as_good_as(ours[k], plain[k], exact[k], 3);
}

TEST(JointLinear, AnEmptyPartHasNoGradient) {
  const std::vector<at::Tensor> inputs = random_inputs(4, 3, 2, at::kFloat);
  const auto gradients = gradients_of(fused(4), inputs, {at::randn({4, 2})});
  EXPECT_TRUE(gradients[0].defined() && gradients[1].defined() && gradients[2].defined());
  EXPECT_FALSE(gradients[3].defined() || gradients[4].defined());
}

TEST(JointLinear, ComputesOnlyTheGradientsThatAreAskedFor) {
  std::vector<at::Tensor> inputs = random_inputs(6, 3, 2, at::kFloat);
  inputs[4].requires_grad_();
  const at::Tensor y = fused(4)(inputs)[0];
  const auto gradients = torch::autograd::grad({y.sum()}, {inputs[4]});
  EXPECT_TRUE(at::equal(gradients[0], at::full({2}, 2.0f)));
}

TEST(JointLinear, DoesNotDependOnTheNumberOfThreads) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const std::vector<at::Tensor> inputs = random_inputs(300, 72, 216, dtype);
    const std::vector<at::Tensor> probes = {at::randn({300, 216}).to(dtype)};
    expect_independent_of_threads([&] {
      std::vector<at::Tensor> results = gradients_of(fused(211), inputs, probes);
      results.push_back(fused(211)(inputs)[0]);
      return results;
    });
  }
}

TEST(JointLinear, RefusesShapesThatDoNotFit) {
  const std::vector<at::Tensor> t = random_inputs(4, 3, 2, at::kFloat);
  EXPECT_THROW(joint_linear(t[0], 5, t[1], t[2], t[3], t[4]), c10::Error);
  EXPECT_THROW(joint_linear(t[0], -1, t[1], t[2], t[3], t[4]), c10::Error);
  EXPECT_THROW(joint_linear(t[0], 2, at::randn({2, 4}), t[2], t[3], t[4]), c10::Error);
  EXPECT_THROW(joint_linear(t[0], 2, t[1], t[2], at::randn({3, 3}), t[4]), c10::Error);
  EXPECT_THROW(joint_linear(t[0], 2, t[1], t[2], t[3].to(at::kBFloat16), t[4]), c10::Error);
}

}  // namespace
}  // namespace i1
