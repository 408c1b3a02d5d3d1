#include "i1/core/random.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>
#include <set>

namespace i1 {
namespace {

using Block = std::array<uint32_t, 4>;

const RandomStream kStream{7, fnv1a("test")};

// The largest distance between the shares of sorted values and a distribution (Kolmogorov-Smirnov).
template <class Cdf>
double distance_to(const at::Tensor& values, Cdf&& cdf) {
  const at::Tensor sorted = std::get<0>(values.flatten().sort());
  const float* const x = sorted.const_data_ptr<float>();
  const auto n = static_cast<double>(sorted.numel());
  double largest = 0;
  for (int64_t i = 0; i < sorted.numel(); ++i) {
    const double p = cdf(x[i]), below = static_cast<double>(i) / n;
    largest = std::max({largest, p - below, below + 1 / n - p});
  }
  return largest * std::sqrt(n);  // above 1.95 once in 1,000 times
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

TEST(Philox, GivesTheAnswersPublishedWithIt) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Fnv1a, GivesTheAnswersPublishedWithIt) {
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(fnv1a("foobar"), 0x85944171f73967e8u);
  EXPECT_EQ(fnv1a("bar", fnv1a("foo")), fnv1a("foobar"));
}

// A picture's seed must mean the same in every version: the first numbers of stream 0 follow from
// the published block.
TEST(Random, SeedsKeepTheirMeaning) {
  const RandomStream zero;
  EXPECT_EQ(zero.bits(0), 0x6627e8d5u);
  EXPECT_EQ(zero.bits(3), 0x9b00dbd8u);
  EXPECT_DOUBLE_EQ(zero.uniform(1), 0xe169c58d / 4294967296.0);
  EXPECT_EQ(zero.below(2, 1000), static_cast<int64_t>(0xbc57ac4c / 4294967296.0 * 1000));

  const auto unit = [](uint32_t bits) { return (bits + 0.5) / 4294967296.0; };
  const double radius = std::sqrt(-2 * std::log(unit(0x6627e8d5)));
  const double angle = 2 * std::numbers::pi * unit(0xe169c58d);
  const at::Tensor normals = normal_tensor({2}, zero);
  EXPECT_FLOAT_EQ(normals[0].item<float>(), static_cast<float>(radius * std::cos(angle)));
  EXPECT_FLOAT_EQ(normals[1].item<float>(), static_cast<float>(radius * std::sin(angle)));
}

TEST(Random, ANumberDependsOnItsPositionAlone) {
  const int threads = at::get_num_threads();
  const at::Tensor all = normal_tensor({3, 7919}, kStream);
  for (const int64_t count : {1, 2, 3, 4, 5, 4097}) {
    EXPECT_TRUE(at::equal(normal_tensor({count}, kStream), all.flatten().narrow(0, 0, count)))
        << count;
  }
  for (const int other : {1, 3, 7}) {
    at::set_num_threads(other);
    EXPECT_TRUE(at::equal(normal_tensor({3, 7919}, kStream), all)) << other << " threads";
  }
  at::set_num_threads(threads);
}

TEST(Random, StreamsOfOtherSeedsNamesAndNumbersDiffer) {
  std::set<uint32_t> firsts;
  for (const RandomStream& stream :
       {kStream, RandomStream{8, kStream.id}, RandomStream{7ull << 32, kStream.id},
        kStream.child("noise"), kStream.child("times"), kStream.child("noise", 1),
        kStream.child("noise", 0, 1), kStream.child("noise", 1).child("noise", 1)}) {
    firsts.insert(stream.bits(0));
  }
  EXPECT_EQ(firsts.size(), 8u);
  EXPECT_EQ(kStream.child("noise", 1, 2).id, kStream.child("noise", 1, 2).id);
  // Positions beyond 2^34 reach the upper half of the counter.
  EXPECT_NE(kStream.bits(1), kStream.bits((uint64_t{1} << 34) + 1));
}

TEST(Random, WholeNumbersBelowABoundAreEvenlySpread) {
  std::map<int64_t, int> counts;
  for (uint64_t i = 0; i < 60000; ++i) ++counts[kStream.below(i, 6)];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [value, count] : counts) {
    EXPECT_NEAR(count, 10000, 5 * std::sqrt(60000 * 5 / 36.0)) << value;
  }
  EXPECT_EQ(kStream.below(0, 1), 0);
}

TEST(Random, FilledTensorsFollowTheirDistributions) {
  at::Tensor values = at::empty({100003}, at::kFloat);
  fill_uniform(values, kStream, -2, 3);
  EXPECT_LT(distance_to(values, [](double x) { return (x + 2) / 5; }), 1.95);
  fill_normal(values, kStream);
  EXPECT_LT(distance_to(values, normal_cdf), 1.95);

  constexpr double kSigma = 0.02, kCut = 2;
  fill_truncated_normal(values, kStream, kSigma, kCut);
  EXPECT_LE(values.abs().max().item<double>(), kSigma * kCut * (1 + 1e-6));
  const double tail = normal_cdf(-kCut);
  EXPECT_LT(distance_to(values,
                        [&](double x) { return (normal_cdf(x / kSigma) - tail) / (1 - 2 * tail); }),
            1.95);
}

TEST(Random, OnlyPlainFloatTensorsAreFilled) {
  at::Tensor columns = at::empty({4, 6}, at::kFloat).t();
  EXPECT_THROW(fill_normal(columns, kStream), c10::Error);
  at::Tensor halves = at::empty({4}, at::kBFloat16);
  EXPECT_THROW(fill_uniform(halves, kStream), c10::Error);
  at::Tensor none = at::empty({0}, at::kFloat);
  fill_normal(none, kStream);
}

}  // namespace
}  // namespace i1
