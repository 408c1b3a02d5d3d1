#include "i1/io/buckets.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "i1/core/error.h"

namespace i1 {
namespace {

std::vector<std::pair<int, int>> pairs(const std::vector<ImageSize>& sizes) {
  std::vector<std::pair<int, int>> result;
  for (const ImageSize& size : sizes) result.emplace_back(size.width, size.height);
  return result;
}

TEST(Buckets, WithoutAUnitThereIsTheSquareAlone) {
  EXPECT_EQ(pairs(bucket_sizes({}, 256)), (std::vector<std::pair<int, int>>{{256, 256}}));
}

TEST(Buckets, HaveThePixelsOfTheSquareAndMirrorEachOther) {
  using Sizes = std::vector<std::pair<int, int>>;
  EXPECT_EQ(pairs(bucket_sizes(usual_buckets(256), 256)), (Sizes{{192, 336},
                                                                 {208, 304},
                                                                 {224, 288},
                                                                 {240, 272},
                                                                 {256, 256},
                                                                 {272, 240},
                                                                 {288, 224},
                                                                 {304, 208},
                                                                 {336, 192}}));
  EXPECT_EQ(pairs(bucket_sizes(usual_buckets(64), 64)), (Sizes{{48, 80}, {64, 64}, {80, 48}}));
  for (const int64_t resolution : {64, 128, 256, 512, 1024}) {
    const Buckets buckets = usual_buckets(resolution);
    for (const ImageSize& size : bucket_sizes(buckets, resolution)) {
      EXPECT_EQ(size.width % buckets.unit, 0);
      EXPECT_EQ(size.height % buckets.unit, 0);
      const int64_t pixels = int64_t{size.width} * size.height;
      EXPECT_LE(pixels, resolution * resolution);
      // One unit more on the longer side would be too much.
      EXPECT_GT(pixels + buckets.unit * std::min(size.width, size.height), resolution * resolution);
      EXPECT_LE(std::max(size.width, size.height), 2 * std::min(size.width, size.height));
    }
  }
}

TEST(Buckets, APictureGoesWhereLeastOfItIsCut) {
  const std::vector<ImageSize> sizes = bucket_sizes(usual_buckets(256), 256);
  const auto size_for = [&](double width, double height) {
    const ImageSize& size = sizes[static_cast<size_t>(nearest_bucket(sizes, width, height))];
    return std::pair(size.width, size.height);
  };
  EXPECT_EQ(size_for(1000, 1000), std::pair(256, 256));
  EXPECT_EQ(size_for(1, 1), std::pair(256, 256));
  EXPECT_EQ(size_for(4000, 3000), std::pair(288, 224));
  EXPECT_EQ(size_for(3000, 4000), std::pair(224, 288));
  EXPECT_EQ(size_for(1920, 1080), std::pair(336, 192));
  EXPECT_EQ(size_for(100000, 1), std::pair(336, 192));
  for (size_t i = 0; i < sizes.size(); ++i)  // its own size cuts nothing
    EXPECT_EQ(nearest_bucket(sizes, sizes[i].width, sizes[i].height), static_cast<int64_t>(i));
}

TEST(Buckets, RefuseWhatDoesNotFit) {
  EXPECT_THROW(bucket_sizes({.unit = 48}, 256), UserError);
  EXPECT_THROW(bucket_sizes({.unit = -16}, 256), UserError);
  EXPECT_THROW(bucket_sizes({.unit = 16, .max_aspect = 0.5}, 256), UserError);
}

}  // namespace
}  // namespace i1
