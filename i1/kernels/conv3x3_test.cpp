#include "i1/kernels/conv3x3.h"

#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

struct Case {
  at::Tensor x, weight, bias;
};

Case random_case(int64_t B, int64_t in, int64_t out, int64_t H, int64_t W) {
  return {at::randn({B, in, H, W}), at::randn({out, in, 3, 3}), at::randn({out})};
}

at::Tensor exact(const Case& c) {
  return at::conv2d(c.x.to(at::kDouble), c.weight.to(at::kDouble), c.bias.to(at::kDouble), 1, 1);
}

// Roundings at their usual size, of sums whose terms are all as large as they can be.
double bound(const Case& c) {
  const double term = c.x.abs().max().item<double>() * c.weight.abs().max().item<double>();
  return kEpsilon * term * (8 + static_cast<double>(c.x.size(1)));
}

TEST(Conv3x3, EqualsTheSumAsItIsWrittenAtTheEdgesOfVectorsPanelsAndTiles) {
  for_each_target([] {
    for (const int64_t channels : edge_widths()) {
      if (channels > 300) continue;
      for (const auto& [H, W] : {std::pair<int64_t, int64_t>{1, 1}, {2, 3}, {7, 4}}) {
        for (const Case& c :
             {random_case(2, channels, 17, H, W), random_case(1, 5, channels, H, W)})
          expect_near(conv3x3(c.x, c.weight, c.bias), exact(c), bound(c));
      }
    }
  });
}

TEST(Conv3x3, RoundsLittleMoreThanTheSumAsItIsWritten) {
  for_each_target([] {
    for (const int64_t width : {int64_t{64}, int64_t{128}, int64_t{512}}) {
      const Case c = random_case(1, width, width, 31, 40);
      const at::Tensor y = exact(c);
      const double plain = error_of(reference::conv3x3(c.x, c.weight, c.bias), y).max;
      expect_near(conv3x3(c.x, c.weight, c.bias), y, 4 * plain);
    }
  });
}

TEST(Conv3x3, TakesAnyMemoryFormatAndNoBias) {
  const Case c = random_case(2, 20, 33, 6, 9);
  const at::Tensor y = conv3x3(c.x, c.weight);
  EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
  expect_near(y, at::conv2d(c.x.to(at::kDouble), c.weight.to(at::kDouble), {}, 1, 1), bound(c));
  const at::Tensor x = c.x.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor weight = c.weight.contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(at::equal(conv3x3(x, weight), y));
}

TEST(Conv3x3, NeitherTheBatchNorThreadsMoveABit) {
  const Case c = random_case(3, 24, 40, 21, 26);
  expect_independent_of_threads([&] { return std::vector{conv3x3(c.x, c.weight, c.bias)}; });
  const at::Tensor all = conv3x3(c.x, c.weight, c.bias);
  for (int64_t b = 0; b < 3; ++b)
    EXPECT_TRUE(at::equal(conv3x3(c.x.narrow(0, b, 1), c.weight, c.bias), all.narrow(0, b, 1)));
}

TEST(Conv3x3, RefusesAnotherKernel) {
  const Case c = random_case(1, 4, 4, 5, 5);
  EXPECT_THROW(conv3x3(c.x, at::randn({4, 4, 1, 1})), c10::Error);
  EXPECT_THROW(conv3x3(c.x, at::randn({4, 5, 3, 3})), c10::Error);
}

}  // namespace
}  // namespace i1
