#include "i1/eval/retrieval.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "i1/core/error.h"

namespace i1 {
namespace {

at::Tensor random_pictures(int64_t n) { return at::randint(256, {n, 64, 64, 3}, at::kByte); }

TEST(Retrieval, FeaturesAreMeansOfTheCells) {
  at::Tensor picture = at::zeros({1, 32, 32, 3}, at::kByte);
  picture[0][0][0][1] = 255;  // one of the four pixels of cell (0, 0), green
  const at::Tensor features = retrieval_features(picture).view({3, 16, 16});
  EXPECT_FLOAT_EQ(features[1][0][0].item<float>(), 0.25);
  EXPECT_FLOAT_EQ(features.sum().item<float>(), 0.25);
}

TEST(Retrieval, APictureFindsItself) {
  const at::Tensor gallery = retrieval_features(random_pictures(20));
  EXPECT_EQ(retrieval_ranks(gallery, gallery,
                            {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}),
            std::vector<int64_t>(20, 0));
}

TEST(Retrieval, RanksCountWhatIsNearer) {
  const at::Tensor gallery = at::zeros({4, 1});
  gallery[1] = 1;
  gallery[2] = 2;
  gallery[3] = 5;
  EXPECT_EQ(retrieval_ranks(at::full({2, 1}, 1.2), gallery, {3, 1}), (std::vector<int64_t>{3, 0}));
}

TEST(Retrieval, TiesCountAgainstTheTruth) {
  EXPECT_EQ(retrieval_ranks(at::zeros({1, 1}), at::zeros({7, 1}), {2}), (std::vector<int64_t>{6}));
}

TEST(Retrieval, ScoresAreSharesBesideChance) {
  RetrievalTally tally;
  const at::Tensor gallery = retrieval_features(random_pictures(10));
  tally.add(gallery.narrow(0, 0, 2), gallery, {0, 5});  // one right, one wrong
  tally.add(gallery.narrow(0, 0, 2), gallery.narrow(0, 0, 4), {0, 1});
  const RetrievalScore score = tally.score();
  EXPECT_EQ(score.num_queries, 4);
  EXPECT_DOUBLE_EQ(score.top1, 0.75);
  EXPECT_DOUBLE_EQ(score.chance_top1, (0.1 + 0.25) / 2);
  EXPECT_DOUBLE_EQ(score.chance_top5, (0.5 + 1) / 2);
}

TEST(Retrieval, RefusesAnswersThatDoNotFitTheQueries) {
  EXPECT_THROW(retrieval_ranks(at::zeros({2, 1}), at::zeros({2, 1}), {0}), UserError);
}

TEST(Retrieval, AnEmptyTallyScoresZero) { EXPECT_EQ(RetrievalTally().score().num_queries, 0); }

}  // namespace
}  // namespace i1
