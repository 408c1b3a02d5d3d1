#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "i1/core/random.h"
#include "i1/core/testing.h"
#include "i1/flow/path.h"
#include "i1/flow/sampler.h"

namespace i1 {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

at::Tensor floats(const std::vector<double>& values) {
  return at::tensor(at::ArrayRef<double>(values), at::kFloat);
}

// Float32 arithmetic of a few operations on numbers around one: a few roundings each.
void expect_values(const at::Tensor& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.numel(), static_cast<int64_t>(expected.size()));
  const at::Tensor flat = found.flatten();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(flat[static_cast<int64_t>(i)].item<double>(), expected[i],
                4 * kEpsilon * std::max(1.0, std::abs(expected[i])))
        << "entry " << i;
  }
}

double normal_distribution(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// The path and its loss.

TEST(Path, RunsFromNoiseToImageWithATimeForEachSample) {
  const at::Tensor noise = floats({4, 8, 4, 8, 4, 8}).view({3, 2, 1});
  const at::Tensor image = floats({8, -4, 8, -4, 8, -4}).view({3, 2, 1});
  const at::Tensor x_t = mix(noise, image, floats({0, 0.25, 1}));
  EXPECT_TRUE(at::equal(x_t, floats({4, 8, 5, 5, 8, -4}).view({3, 2, 1})));
}

TEST(Path, TheTargetIsTheSlopeOfThePath) {
  const at::Tensor noise = floats({4, 8}).view({1, 2}), image = floats({8, -4}).view({1, 2});
  const at::Tensor target = velocity_target(noise, image);
  EXPECT_TRUE(at::equal(target, floats({4, -12}).view({1, 2})));
  const at::Tensor rise = mix(noise, image, floats({0.75})) - mix(noise, image, floats({0.25}));
  EXPECT_TRUE(at::equal(rise, target * 0.5));  // halves and quarters: no rounding
}

TEST(Path, TheLossIsTheMeanSquaredErrorInFloat32) {
  EXPECT_EQ(velocity_loss(floats({1, 2, 3, 4}), floats({2, 2, 1, 0})).item<float>(), 21.0f / 4);
  // In bfloat16 the target would round to one, and the loss to zero.
  const at::Tensor one = floats({1}).to(at::kBFloat16);
  EXPECT_EQ(velocity_loss(one, floats({1 + 0x1p-12})).item<float>(), 0x1p-24f);
}

// Times.

TEST(Times, LogitNormalIsTheSigmoidOfANormal) {
  const at::Tensor z = floats({-2, -1, 0, 1, 2});
  expect_values(sample_times(z, {}), {0.11920292202211755, 0.2689414213699951, 0.5,
                                      0.7310585786300049, 0.8807970779778823});
  expect_values(sample_times(z, {.t_mean = -0.5, .t_std = 2}),
                {1 / (1 + std::exp(4.5)), 1 / (1 + std::exp(2.5)), 1 / (1 + std::exp(0.5)),
                 1 / (1 + std::exp(-1.5)), 1 / (1 + std::exp(-3.5))});
}

TEST(Times, DrawnTimesHaveTheQuantilesOfTheirDistribution) {
  constexpr int64_t kDraws = 100000;
  const at::Tensor normals = normal_tensor({kDraws}, RandomStream{1, 2});
  const TimeSampling options{.t_mean = 0.4, .t_std = 1.3, .train_timestep_shift = 0.3};
  const at::Tensor t = sample_times(normals, options);
  EXPECT_GT(t.min().item<float>(), 0);
  EXPECT_LT(t.max().item<float>(), 1);
  for (const double z : {-2.0, -1.0, -0.3, 0.0, 0.7, 1.5}) {
    const double quantile = shift_time(1 / (1 + std::exp(-0.4 - 1.3 * z)), 0.3);
    const double share = normal_distribution(z);
    const double found = (t < quantile).sum().item<double>() / kDraws;
    EXPECT_NEAR(found, share, 4 * std::sqrt(share * (1 - share) / kDraws)) << z;
  }
}

TEST(Times, UniformsStayAsTheyAre) {
  const at::Tensor u = floats({0, 0.125, 0.5, 0.999});
  EXPECT_TRUE(at::equal(sample_times(u, {.t_distribution = "uniform"}), u));
}

TEST(Times, TheShiftIsAppliedAfterTheDistribution) {
  // 3 t / (1 + 2 t)
  expect_values(sample_times(floats({0, 0.25, 0.5, 1}),
                             {.t_distribution = "uniform", .train_timestep_shift = 3}),
                {0, 0.5, 0.75, 1});
  expect_values(sample_times(floats({0}), {.train_timestep_shift = 3}), {0.75});
}

TEST(Times, ShiftsOfZeroAndOneLeaveTimesAsTheyAre) {
  const at::Tensor t = at::arange(0, 1001) / 1000.0;
  for (const double none : {0.0, 1.0}) {
    EXPECT_TRUE(at::equal(shift_time(t, none), t));
    EXPECT_EQ(shift_time(0.3, none), 0.3);
  }
}

TEST(Times, AShiftKeepsTheEndsAndTheInverseShiftUndoesIt) {
  for (const double shift : {0.3, 3.0, 0.05, 20.0}) {
    // 1 + (s - 1) t rounds at one and is divided by: a few epsilons over the smaller of s and 1 /
    // s.
    const double rounding = 4 * 0x1p-52 / std::min(shift, 1 / shift);
    EXPECT_EQ(shift_time(0.0, shift), 0);
    EXPECT_NEAR(shift_time(1.0, shift), 1, rounding);
    for (const double t : {0.1, 0.5, 0.9}) {
      EXPECT_NEAR(shift_time(shift_time(t, shift), 1 / shift), t, rounding);
      EXPECT_EQ(shift_time(t, shift) < t, shift < 1);
      EXPECT_NEAR(shift_time(floats({t}), shift).item<double>(), shift_time(t, shift),
                  4 * kEpsilon);
    }
  }
}

TEST(Times, AnUnknownDistributionIsRefused) {
  expect_error("t_distribution \"lognorm\"",
               [] { sample_times(at::zeros({1}), {.t_distribution = "lognorm"}); });
}

// Schedules.

TEST(Schedule, ShiftedTimesAreTheHandComputedOnes) {
  const std::vector<float> times = make_timesteps(4, "shifted", 0.3);
  ASSERT_EQ(times.size(), 5u);
  EXPECT_EQ(times[0], 0);
  EXPECT_FLOAT_EQ(times[1], 1.0f / 11);  // 0.075 / 0.825
  EXPECT_FLOAT_EQ(times[2], 3.0f / 13);  // 0.15 / 0.65
  EXPECT_FLOAT_EQ(times[3], 9.0f / 19);  // 0.225 / 0.475
  EXPECT_EQ(times[4], 1);
}

TEST(Schedule, UniformTimesAreEquallySpacedWhateverTheShift) {
  for (const double shift : {0.0, 0.3, -1.0})
    EXPECT_EQ(make_timesteps(4, "uniform", shift), (std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1}));
  EXPECT_EQ(make_timesteps(4, "shifted", 0), make_timesteps(4, "uniform", 0));
  EXPECT_EQ(make_timesteps(1, "shifted", 0.3), (std::vector<float>{0, 1}));
}

TEST(Schedule, TimesRiseStrictlyFromExactlyZeroToExactlyOne) {
  for (const char* schedule : {"shifted", "uniform"}) {
    for (const int64_t N : {1, 2, 50, 250, 1000}) {
      for (const double shift : {0.3, 0.05, 3.0, 0.0, 1.0}) {
        const std::vector<float> times = make_timesteps(N, schedule, shift);
        ASSERT_EQ(static_cast<int64_t>(times.size()), N + 1);
        EXPECT_EQ(times.front(), 0);
        EXPECT_EQ(times.back(), 1) << schedule << ", " << N << " steps, shift " << shift;
        for (size_t k = 1; k < times.size(); ++k) EXPECT_GT(times[k], times[k - 1]) << k;
      }
    }
  }
}

TEST(Schedule, WhatNoScheduleCanBeIsRefused) {
  expect_error("schedule \"linear\"", [] { make_timesteps(4, "linear", 0.3); });
  expect_error("number of steps is 0", [] { make_timesteps(0, "shifted", 0.3); });
  expect_error("timestep shift is -1", [] { make_timesteps(4, "shifted", -1); });
}

// Euler.

TEST(Euler, AStraightPathIsFollowedExactly) {
  const at::Tensor noise = floats({4, 8, -3}), image = floats({8, -4, 1});
  const VelocityFunction straight = [&](const at::Tensor&, double) {
    return velocity_target(noise, image);
  };
  EXPECT_TRUE(at::equal(euler(noise, make_timesteps(4, "uniform", 0), straight), image));
  // Uneven steps round once each; values stay below 16.
  const at::Tensor end = euler(noise, make_timesteps(50, "shifted", 0.3), straight);
  EXPECT_LE((end - image).abs().max().item<double>(), 2 * 50 * kEpsilon * 16);
}

TEST(Euler, CallsTheFieldAtEachTimeButTheLastAndReportsEachStep) {
  const std::vector<float> times = {0, 0.25f, 1};
  std::vector<double> called;
  std::vector<std::pair<int64_t, float>> reported;
  const at::Tensor end = euler(
      floats({2}), times,
      [&](const at::Tensor& x, double t) {
        called.push_back(t);
        return 2 * x;
      },
      [&](int64_t step, const at::Tensor& x) { reported.emplace_back(step, x.item<float>()); });
  EXPECT_EQ(called, (std::vector<double>{0, 0.25}));
  EXPECT_EQ(reported, (std::vector<std::pair<int64_t, float>>{{1, 3.0f}, {2, 7.5f}}));
  EXPECT_EQ(end.item<float>(), 7.5f);
}

// Minus the slope of log(error) over log(N), by least squares over N = 64 ... 512.
double fitted_order(const char* schedule, const VelocityFunction& velocity, double x_0,
                    double x_1) {
  double sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
  constexpr int kSizes = 4;
  for (int i = 0; i < kSizes; ++i) {
    const int64_t N = 64 << i;
    const at::Tensor end =
        euler(at::full({1}, x_0, at::kDouble), make_timesteps(N, schedule, 0.3), velocity);
    const double x = std::log2(static_cast<double>(N));
    const double y = std::log2(std::abs(end.item<double>() - x_1));
    sum_x += x, sum_y += y, sum_xx += x * x, sum_xy += x * y;
  }
  return -(kSizes * sum_xy - sum_x * sum_y) / (kSizes * sum_xx - sum_x * sum_x);
}

// The error is c / N (1 + d / N + ...), so the slope is off by about d / N: with d of order one and
// N from 64 on, by some hundredths. Times of float32 are off by 1e-7, errors are above 1e-4.
constexpr double kOrderTolerance = 2.0 / 64;

TEST(Euler, IsOfFirstOrderForExponentialDecay) {
  const VelocityFunction decay = [](const at::Tensor& x, double) { return -x; };
  for (const char* schedule : {"uniform", "shifted"})
    EXPECT_NEAR(fitted_order(schedule, decay, 1, std::exp(-1)), 1, kOrderTolerance) << schedule;
}

TEST(Euler, IsOfFirstOrderOnTheExactFlowToANormalDistribution) {
  // Images normal with mean m and std s: x_t is normal with mean t m and variance v(t), and
  // E[image - noise | x_t] is linear in x_t. A noise z flows to m + s z.
  constexpr double m = 1.5, s = 0.5, z = -0.8;
  const VelocityFunction flow = [](const at::Tensor& x, double t) {
    const double variance = (1 - t) * (1 - t) + t * t * s * s;
    return m + (t * s * s - (1 - t)) / variance * (x - t * m);
  };
  for (const char* schedule : {"uniform", "shifted"})
    EXPECT_NEAR(fitted_order(schedule, flow, z, m + s * z), 1, kOrderTolerance) << schedule;
}

TEST(Euler, ValuesThatAreNotFiniteStopItAtTheirStep) {
  const VelocityFunction breaks = [](const at::Tensor& x, double t) {
    return t < 0.5 ? x : x / at::zeros_like(x);
  };
  try {
    euler(at::ones({2}), make_timesteps(4, "uniform", 0), breaks);
    ADD_FAILURE() << "not noticed";
  } catch (const NotFinite& fault) {
    EXPECT_STREQ(fault.what(), "sampling step 3 of 4 (t = 0.5): values are not finite");
    EXPECT_EQ(fault.t, 0.5);
    EXPECT_TRUE(at::equal(fault.x_t, at::full({2}, 1.25 * 1.25)));
    EXPECT_TRUE(at::isinf(fault.x_next).all().item<bool>());
  }
}

// Guidance.

TEST(Guidance, IsUPlusGTimesCMinusU) {
  const at::Tensor cond = floats({3, -1}).view({1, 2}), uncond = floats({2.5, 1}).view({1, 2});
  const at::Tensor v = guide(cond, uncond, 0.5, {.scale = 12, .rescale = 0});
  EXPECT_TRUE(at::equal(v, floats({8.5, -23}).view({1, 2})));
  EXPECT_TRUE(at::equal(guide(cond, uncond, 0.5, {.scale = 1, .rescale = 0}), cond));
  EXPECT_TRUE(at::equal(guide(cond, uncond, 0.5, {.scale = 0, .rescale = 0}), uncond));
}

TEST(Guidance, ActsFromItsStartOn) {
  const at::Tensor cond = floats({3, -1}).view({1, 2}), uncond = floats({2.5, 1}).view({1, 2});
  const Guidance late{.scale = 12, .rescale = 0, .start = 0.25};
  EXPECT_TRUE(at::equal(guide(cond, uncond, 0.2, late), cond));
  EXPECT_TRUE(at::equal(guide(cond, uncond, 0.25, late), floats({8.5, -23}).view({1, 2})));
  // Rescaling what is not guided changes nothing.
  Guidance rescaled = late;
  rescaled.rescale = 1;
  expect_values(guide(cond, uncond, 0.2, rescaled), {3, -1});
}

TEST(Guidance, RescaleMixesBackTheDeviationOfTheConditionalHalf) {
  // Deviations of c and v stand 1 to 3: phi = 1 gives v / 3, phi = 1/2 gives v (1/2 + 1/6).
  const at::Tensor cond = floats({0, 2}).view({1, 2}), uncond = floats({1, 1}).view({1, 2});
  for (const StdKind kind : {StdKind::kSample, StdKind::kPopulation}) {
    const Guidance whole{.scale = 3, .rescale = 1, .std_kind = kind};
    const Guidance half{.scale = 3, .rescale = 0.5, .std_kind = kind};
    expect_values(guide(cond, uncond, 0, whole), {-2.0 / 3, 4.0 / 3});
    expect_values(guide(cond, uncond, 0, half), {-4.0 / 3, 8.0 / 3});
  }
}

TEST(Guidance, DeviationsDivideByNMinusOneOrByN) {
  // Deviations as small as the 1e-8 beside them: of c 1e-8 (by n) or sqrt(2) 1e-8, of v three times
  // that.
  const at::Tensor cond = floats({0, 2e-8}).view({1, 2}),
                   uncond = floats({1e-8, 1e-8}).view({1, 2});
  const auto factor = [&](StdKind kind) {
    const Guidance guidance{.scale = 3, .rescale = 1, .std_kind = kind};
    return guide(cond, uncond, 0, guidance)[0][1].item<double>() / 4e-8;
  };
  const double root = std::sqrt(2.0);
  EXPECT_NEAR(factor(StdKind::kPopulation), 1.0 / (3 + 1), 16 * kEpsilon);
  EXPECT_NEAR(factor(StdKind::kSample), root / (3 * root + 1), 16 * kEpsilon);
}

TEST(Guidance, RescaleZeroIsExactlyOff) {
  // A constant sample has no deviation: any rescaling would shrink it to nothing.
  const at::Tensor cond = at::full({1, 3, 2, 2}, 2.0), uncond = at::full({1, 3, 2, 2}, 1.0);
  EXPECT_TRUE(
      at::equal(guide(cond, uncond, 0, {.scale = 12, .rescale = 0}), at::full({1, 3, 2, 2}, 13.0)));
  EXPECT_TRUE(
      at::equal(guide(cond, uncond, 0, {.scale = 12, .rescale = 1}), at::zeros({1, 3, 2, 2})));
}

TEST(Guidance, ASampleDoesNotDependOnItsNeighbours) {
  at::manual_seed(0);
  const at::Tensor cond = at::randn({3, 4, 5, 6}), uncond = at::randn({3, 4, 5, 6});
  const at::Tensor all = guide(cond, uncond, 0.5, {});
  for (int64_t b = 0; b < 3; ++b) {
    const at::Tensor alone = guide(cond.narrow(0, b, 1), uncond.narrow(0, b, 1), 0.5, {});
    EXPECT_TRUE(at::equal(all.narrow(0, b, 1), alone)) << b;
  }
}

}  // namespace
}  // namespace i1
