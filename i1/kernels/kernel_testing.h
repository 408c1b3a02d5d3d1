// What the tests of all kernels share: every instruction set in turn, and tolerances that are
// derived.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <limits>
#include <vector>

namespace i1::testing {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

/// Runs `body` once with each instruction set that this processor has and the kernels were compiled
/// for.
inline void for_each_target(const std::function<void()>& body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

/// Widths at the edges of the vectors (4, 8 and 16 floats), of four of them, and of real models.
inline std::vector<int64_t> edge_widths() {
  return {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 72, 127, 288, 2016};
}

struct Error {
  double max = 0;   ///< largest absolute difference
  double mean = 0;  ///< mean signed difference
};

inline Error error_of(const at::Tensor& x, const at::Tensor& expected) {
  if (x.numel() == 0) return {};
  const at::Tensor difference = x.to(at::kDouble) - expected.to(at::kDouble);
  return {difference.abs().max().item<double>(), difference.mean().item<double>()};
}

/// Largest absolute difference at most `bound`.
inline void expect_near(const at::Tensor& x, const at::Tensor& expected, double bound) {
  ASSERT_EQ(x.sizes(), expected.sizes());
  EXPECT_LE(error_of(x, expected).max, bound);
}

/// The rule for bfloat16: against the result `exact` of the same inputs in higher precision, x is
/// off by at most `factor` times what the plain bfloat16 operations are off, both in the largest
/// and in the mean signed error. Half a unit in the last place of the largest value is granted:
/// no bfloat16 result can do better.
inline void expect_as_good_as(const at::Tensor& x, const at::Tensor& plain, const at::Tensor& exact,
                              double factor) {
  ASSERT_EQ(x.sizes(), exact.sizes());
  ASSERT_EQ(x.scalar_type(), plain.scalar_type());
  constexpr double kHalfUnit = 0x1p-9;
  const double half_unit = kHalfUnit * exact.abs().max().item<double>();
  const Error ours = error_of(x, exact), theirs = error_of(plain, exact);
  EXPECT_LE(ours.max, std::max(factor * theirs.max, half_unit));
  EXPECT_LE(std::abs(ours.mean), factor * std::abs(theirs.mean) +
                                     half_unit / std::sqrt(static_cast<double>(exact.numel())));
}

inline std::vector<at::Tensor> to(at::ScalarType dtype, std::vector<at::Tensor> tensors) {
  for (at::Tensor& tensor : tensors) tensor = tensor.to(dtype);
  return tensors;
}

using Function = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// Gradients of sum over outputs of <output, probe> with regard to all inputs.
inline std::vector<at::Tensor> gradients_of(const Function& function,
                                            const std::vector<at::Tensor>& inputs,
                                            const std::vector<at::Tensor>& probes) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().requires_grad_());
  return torch::autograd::grad(function(leaves), leaves, probes, /*retain_graph=*/std::nullopt,
                               /*create_graph=*/false, /*allow_unused=*/true);
}

/// Checks the gradients of a function of float64 tensors against central differences.
inline void expect_gradients_equal_differences(const Function& function,
                                               const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> probes;
  for (const at::Tensor& output : function(inputs)) probes.push_back(at::randn_like(output));
  const auto loss = [&](const std::vector<at::Tensor>& at_inputs) {
    const std::vector<at::Tensor> outputs = function(at_inputs);
    double sum = 0;
    for (size_t k = 0; k < outputs.size(); ++k)
      sum += (outputs[k] * probes[k]).sum().item<double>();
    return sum;
  };
  const std::vector<at::Tensor> gradients = gradients_of(function, inputs, probes);
  constexpr double h = 1e-5;  // truncation ~h^2, cancellation ~1e-16/h: both far below 1e-7
  for (size_t k = 0; k < inputs.size(); ++k) {
    ASSERT_EQ(inputs[k].scalar_type(), at::kDouble);
    for (int64_t i = 0; i < inputs[k].numel(); ++i) {
      const auto moved = [&](double by) {
        std::vector<at::Tensor> copy = inputs;
        copy[k] = inputs[k].clone();
        copy[k].view(-1)[i] += by;
        return loss(copy);
      };
      EXPECT_NEAR(gradients[k].view(-1)[i].item<double>(), (moved(h) - moved(-h)) / (2 * h), 1e-7)
          << "input " << k << ", element " << i;
    }
  }
}

/// Runs `make` with one thread and with two and expects equal bits.
inline void expect_independent_of_threads(const std::function<std::vector<at::Tensor>()>& make) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const std::vector<at::Tensor> one = make();
  at::set_num_threads(2);
  const std::vector<at::Tensor> two = make();
  at::set_num_threads(before);
  for (size_t k = 0; k < one.size(); ++k) EXPECT_TRUE(at::equal(one[k], two[k])) << "output " << k;
}

}  // namespace i1::testing
