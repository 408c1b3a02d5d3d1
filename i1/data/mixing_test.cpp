#include "i1/data/mixing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "i1/core/error.h"
#include "i1/data/split.h"
#include "i1/data/subset.h"
#include "i1/data/yfcc.h"

namespace i1 {
namespace {

TEST(Mixing, CountsAreCutAtTheThreshold) {
  EXPECT_EQ(count_weights({5, 100, 7}), (std::vector<double>{5, 100, 7}));
  EXPECT_EQ(count_weights({5, 100, 7}, 6), (std::vector<double>{5, 6, 6}));
}

TEST(Mixing, SharesSumToOne) {
  EXPECT_EQ(shares_of({1, 1, 2}), (std::vector<double>{0.25, 0.25, 0.5}));
  EXPECT_EQ(shares_of({0, 8}), (std::vector<double>{0, 1}));
}

TEST(Mixing, ImpossibleWeightsAreRefused) {
  for (const std::vector<double>& weights : {std::vector<double>{},
                                             {0, 0},
                                             {1, -1},
                                             {1, std::nan("")},
                                             {std::numeric_limits<double>::infinity()}}) {
    EXPECT_THROW(shares_of(weights), UserError);
    EXPECT_THROW(Mixture{weights}, UserError);
  }
}

TEST(Mixing, BuffersAreInProportionAndCutDown) {
  EXPECT_EQ(shuffle_buffer_size(1), 10000);
  EXPECT_EQ(shuffle_buffer_size(1.0 / 3), 3333);
  EXPECT_EQ(shuffle_buffer_size(0.00009), 0);
  EXPECT_EQ(shuffle_buffer_size(0.5, 3), 1);
}

TEST(Mixing, AUniformNumberFallsOnItsSet) {
  const Mixture mixture({1, 0, 2, 1, 0});
  EXPECT_EQ(mixture.pick(0), 0);
  EXPECT_EQ(mixture.pick(0.2499), 0);
  EXPECT_EQ(mixture.pick(0.25), 2);
  EXPECT_EQ(mixture.pick(0.7499), 2);
  EXPECT_EQ(mixture.pick(0.75), 3);
  EXPECT_EQ(mixture.pick(std::nextafter(1.0, 0.0)), 3);  // never the set of weight 0 behind it
}

TEST(Split, PartsAreEvenContiguousAndWhole) {
  for (const int64_t total : {0, 1, 7, 100}) {
    for (const int64_t parts : {1, 2, 3, 8, 101}) {
      int64_t end = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const Span part = even_part(total, i, parts);
        EXPECT_EQ(part.begin, end);
        EXPECT_EQ(part.size(), total / parts + (i < total % parts));
        end = part.end;
      }
      EXPECT_EQ(end, total);
    }
  }
}

TEST(Split, APartMayBeginAndEndInsideShards) {
  EXPECT_EQ(shard_parts({4, 3}, 1, 3), (std::vector<ShardPart>{{0, 3, 1}, {1, 0, 1}}));
  EXPECT_EQ(shard_parts({0, 5, 0}, 0, 1), (std::vector<ShardPart>{{1, 0, 5}}));
  EXPECT_TRUE(shard_parts({1}, 1, 2).empty());
  EXPECT_TRUE(shard_parts({}, 0, 1).empty());
}

TEST(Subset, SmallerFractionsLieInsideLargerOnes) {
  int64_t num_tenth = 0;
  for (int64_t i = 0; i < 2000; ++i) {
    const std::string id = example_id("dataset-train.tfrecord-00000-of-00001", i);
    EXPECT_LE(is_in_subset(id, 0.1), is_in_subset(id, 0.2));
    num_tenth += is_in_subset(id, 0.1);
    EXPECT_FALSE(is_in_subset(id, 0));
    EXPECT_TRUE(is_in_subset(id, 1));
  }
  EXPECT_NEAR(static_cast<double>(num_tenth), 200, 54);  // four standard deviations
}

TEST(Subset, FingerprintIsFarmHashs) {
  EXPECT_EQ(fingerprint64("Hello"), 15404698994557526151u);
  EXPECT_EQ(example_id("a", 17), "a__17");
}

TEST(Yfcc, LeadingZerosOfEachByteAreLost) {
  // MD5 08f6d814a0bc9caae6ca79edd7c2e918
  const std::string url = "http://farm2.staticflickr.com/1037/2000991_356a192b79.jpg";
  EXPECT_EQ(yfcc_name(url), "8f6d814a0bc9caae6ca79edd7c2e918");
  EXPECT_EQ(yfcc_address(url),
            "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images/8f6/d81/"
            "8f6d814a0bc9caae6ca79edd7c2e918.jpg");
}

TEST(Yfcc, RowsGoToShardsInTurnAndFilesToFoldersOfTenThousand) {
  EXPECT_EQ(yfcc_shard(10, 4), 2);
  EXPECT_EQ(yfcc_file(9999, "124"), "0/124.jpg");
  EXPECT_EQ(yfcc_file(10000, " 125\n"), "1/125.jpg");
  EXPECT_FALSE(yfcc_file(0, "").has_value());
  EXPECT_FALSE(yfcc_file(0, " \t").has_value());
}

}  // namespace
}  // namespace i1
