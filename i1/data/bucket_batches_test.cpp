// Batches of buckets: caches of pictures of three shapes.
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "i1/core/error.h"
#include "i1/data/cached_batches.h"
#include "i1/data/test_caches.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

CacheOrigin origin_with_buckets() {
  CacheOrigin origin = test_origin();
  origin.resolution = 64;
  origin.buckets = {.unit = 16};  // 48 x 80, 64 x 64, 80 x 48
  return origin;
}

// counts: examples of each bucket. Latents hold the example's number, the shape that of the
// bucket in units of 16 pixels.
fs::path write_set(const fs::path& folder, const std::vector<int64_t>& counts) {
  CacheWriter writer(folder, origin_with_buckets());
  const std::vector<std::vector<int64_t>> shapes = {{1, 2, 5, 3}, {1, 2, 4, 4}, {1, 2, 3, 5}};
  int64_t example = 0;
  for (int64_t i = 0; i < 20; ++i) {  // the buckets in turn
    for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
      if (i >= counts[bucket]) continue;
      const int64_t caption = writer.caption_number({example});
      writer.add(at::full(shapes[bucket], static_cast<double>(example), at::kFloat), {{caption}},
                 {"picture"}, static_cast<int64_t>(bucket));
      ++example;
    }
  }
  writer.finish();
  return folder;
}

std::vector<LatentCache> two_caches() {
  static const fs::path parent = [] {
    const fs::path folder = fresh_folder("bucket_batches");
    write_set(folder / "many", {4, 12, 4});
    write_set(folder / "few", {0, 3, 6});
    return folder;
  }();
  return {LatentCache::open(parent / "many"), LatentCache::open(parent / "few")};
}

CachedBatches batches_of(BatchOptions options = {}, const std::vector<double>& weights = {1, 1}) {
  return CachedBatches(two_caches(), weights, 0.1, 3, options);
}

TEST(BucketCache, EachBucketHasItsShapeAndExamples) {
  const std::vector<LatentCache> caches = two_caches();
  EXPECT_EQ(caches[0].size(), 20);
  EXPECT_EQ(caches[0].num_buckets(), 3);
  EXPECT_EQ(caches[0].latent_shape(0), (std::vector<int64_t>{2, 5, 3}));
  EXPECT_EQ(caches[0].bucket_size(1), 12);
  EXPECT_EQ(caches[1].bucket_size(0), 0);
  EXPECT_TRUE(caches[1].latent_shape(0).empty());
  EXPECT_THROW(caches[1].latent(0, 0), Failure);
  std::set<int64_t> examples;
  for (int64_t bucket = 0; bucket < 3; ++bucket) {
    for (int64_t row = 0; row < caches[0].bucket_size(bucket); ++row) {
      const int64_t example = caches[0].example_of(row, bucket);
      EXPECT_EQ(caches[0].latent(row, bucket).flatten()[0].item<double>(), example);
      examples.insert(example);
    }
  }
  EXPECT_EQ(examples.size(), 20u);
}

TEST(BucketCache, TablesThatDoNotFitAreRefused) {
  const fs::path folder = write_set(fresh_folder("bucket_damaged") / "set", {1, 2, 1});
  std::string json = read_file(folder / "cache.json");
  const size_t unit = json.find("\"unit\": 16");
  ASSERT_NE(unit, std::string::npos);
  json.replace(unit, 10, "\"unit\": 64");  // one bucket: the examples of two are missing
  write_file_atomically(folder / "cache.json", json);
  EXPECT_THROW(LatentCache::open(folder), UserError);
}

TEST(BucketBatches, ABatchIsOfOneBucketAndHoldsItsDraws) {
  CachedBatches batches = batches_of();
  std::set<std::vector<int64_t>> shapes;
  for (int i = 0; i < 50; ++i) {
    const Batch batch = batches.next(4);
    shapes.insert(batch.latents.sizes().slice(1).vec());
    for (int64_t b = 0; b < 4; ++b) {
      const Draw& draw = batch.draws[static_cast<size_t>(b)];
      EXPECT_EQ(batch.latents[b].flatten()[0].item<double>(), draw.example);
      EXPECT_EQ(batches.caches()[draw.data_set].token_ids(draw.caption)[0], draw.example);
    }
  }
  EXPECT_EQ(shapes.size(), 3u);
}

// As often as without buckets: half of the draws fall on each set, evenly on its examples.
TEST(BucketBatches, EveryExampleComesAsOftenAsWithoutBuckets) {
  CachedBatches batches = batches_of();
  std::map<std::pair<int64_t, int64_t>, int64_t> counts;
  constexpr int64_t kBatches = 8000, kSize = 2, kDraws = kBatches * kSize;
  for (int64_t i = 0; i < kBatches; ++i) {
    for (const Draw& draw : batches.next(kSize).draws) ++counts[{draw.data_set, draw.example}];
  }
  ASSERT_EQ(counts.size(), 29u);
  for (const auto& [key, count] : counts) {
    const double share = 0.5 / static_cast<double>(key.first == 0 ? 20 : 9);
    // The draws of a batch share their bucket: up to kSize times the variance of single ones.
    const double deviation = std::sqrt(kSize * kDraws * share * (1 - share));
    EXPECT_NEAR(static_cast<double>(count), kDraws * share, 4 * deviation);
  }
}

TEST(BucketBatches, AnEpochOfABucketMeetsEachOfItsExamplesOnce) {
  CachedBatches batches = batches_of({}, {1, 0});
  std::map<int64_t, std::vector<int64_t>> drawn;  // by width
  for (int i = 0; i < 200; ++i) {
    const Batch batch = batches.next(3);
    for (const Draw& draw : batch.draws) drawn[batch.latents.size(3)].push_back(draw.example);
  }
  for (const auto& [width, examples] : drawn) {
    const size_t size = width == 4 ? 12 : 4;
    for (size_t begin = 0; begin + size <= examples.size(); begin += size) {
      const auto first = examples.begin() + static_cast<int64_t>(begin);
      EXPECT_EQ(std::set<int64_t>(first, first + static_cast<int64_t>(size)).size(), size);
    }
  }
}

std::vector<int64_t> examples_of(CachedBatches& batches, int64_t num_batches, int64_t size) {
  std::vector<int64_t> examples;
  for (int64_t i = 0; i < num_batches; ++i)
    for (const Draw& draw : batches.next(size).draws) examples.push_back(draw.example);
  return examples;
}

TEST(BucketBatches, ResumeExactlyAlsoWithMoreProcesses) {
  CachedBatches straight = batches_of();
  examples_of(straight, 7, 4);
  const DataPosition position = straight.position();
  CachedBatches resumed = batches_of();
  resumed.next(4);
  resumed.restore(position);
  CachedBatches first = batches_of({0, 2}), second = batches_of({1, 2});
  first.restore(position);
  second.restore(position);
  for (int i = 0; i < 20; ++i) {
    const std::vector<int64_t> expected = examples_of(straight, 1, 4);
    EXPECT_EQ(examples_of(resumed, 1, 4), expected);
    std::vector<int64_t> both = examples_of(first, 1, 2);
    for (const int64_t example : examples_of(second, 1, 2)) both.push_back(example);
    EXPECT_EQ(both, expected);
  }
}

TEST(BucketBatches, CachesOfOtherShapesAreRefused) {
  std::vector<LatentCache> caches = two_caches();
  caches.push_back(LatentCache::open(write_test_cache(fresh_folder("bucket_other") / "set", 3)));
  EXPECT_THROW(CachedBatches(caches, {1, 1, 1}, 0.1, 0), UserError);
}

}  // namespace
}  // namespace i1
