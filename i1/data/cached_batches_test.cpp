#include "i1/data/cached_batches.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "i1/core/error.h"
#include "i1/data/test_caches.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// Sets of 5, 7 and 11 examples with two captions each.
std::vector<LatentCache> three_caches() {
  static const fs::path parent = [] {
    const fs::path folder = fresh_folder("batches");
    for (const int64_t size : {5, 7, 11}) write_test_cache(folder / std::to_string(size), size);
    return folder;
  }();
  return {LatentCache::open(parent / "5"), LatentCache::open(parent / "7"),
          LatentCache::open(parent / "11")};
}

std::vector<Draw> draws_of(CachedBatches& batches, int64_t num_draws, int64_t batch_size) {
  std::vector<Draw> draws;
  while (static_cast<int64_t>(draws.size()) < num_draws) {
    for (const Draw& draw : batches.next(batch_size).draws) draws.push_back(draw);
  }
  return draws;
}

bool equal(const Draw& a, const Draw& b) {
  return a.data_set == b.data_set && a.example == b.example && a.caption == b.caption &&
         a.is_dropped == b.is_dropped;
}

void expect_equal(const std::vector<Draw>& a, const std::vector<Draw>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(equal(a[i], b[i])) << i;
}

// Within 4 standard deviations of a binomial count.
void expect_share(int64_t count, int64_t total, double share) {
  const double deviation = std::sqrt(static_cast<double>(total) * share * (1 - share));
  EXPECT_NEAR(static_cast<double>(count), static_cast<double>(total) * share, 4 * deviation);
}

TEST(Permutation, MeetsEveryNumberOnce) {
  for (const int64_t n : {1, 2, 3, 4, 5, 15, 16, 17, 64, 65, 1000, 4099}) {
    std::set<int64_t> seen;
    for (int64_t i = 0; i < n; ++i) seen.insert(permuted(i, n, {3, 5}));
    EXPECT_EQ(static_cast<int64_t>(seen.size()), n);
    EXPECT_EQ(*seen.rbegin(), n - 1);
  }
}

TEST(Permutation, EveryPlaceIsEquallyLikely) {
  constexpr int64_t kN = 6, kTrials = 20000;
  std::map<std::pair<int64_t, int64_t>, int64_t> counts;  // (position, place)
  for (int64_t trial = 0; trial < kTrials; ++trial) {
    for (int64_t i = 0; i < kN; ++i)
      ++counts[{i, permuted(i, kN, {1, static_cast<uint64_t>(trial)})}];
  }
  for (const auto& [key, count] : counts) expect_share(count, kTrials, 1.0 / kN);
  EXPECT_EQ(counts.size(), 36u);
}

TEST(CachedBatches, LatentsAreThoseOfTheDraws) {
  CachedBatches batches(three_caches(), {1, 1, 1}, 0.1, 0);
  const Batch batch = batches.next(9);
  EXPECT_EQ(batch.latents.sizes(), (std::vector<int64_t>{9, 2, 2, 2}));
  for (int64_t i = 0; i < 9; ++i) {
    const Draw& draw = batch.draws[static_cast<size_t>(i)];
    EXPECT_TRUE(at::equal(batch.latents[i],
                          at::full({2, 2, 2}, static_cast<double>(draw.example), at::kFloat)));
    EXPECT_EQ(batches.caches()[draw.data_set].token_ids(draw.caption)[0], draw.example);
  }
}

TEST(CachedBatches, AnEpochMeetsEveryExampleOnceInAnotherOrder) {
  CachedBatches batches(three_caches(), {0, 0, 1}, 0.1, 4);
  std::set<std::vector<int64_t>> orders;
  for (int epoch = 0; epoch < 5; ++epoch) {
    std::vector<int64_t> order;
    for (const Draw& draw : draws_of(batches, 11, 11)) order.push_back(draw.example);
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 11u);
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 5u);
}

TEST(CachedBatches, SharesAreThoseOfTheWeights) {
  CachedBatches batches(three_caches(), {2, 0, 6}, 0.1, 1);
  const std::vector<Draw> draws = draws_of(batches, 20000, 500);
  int64_t first = 0, second = 0, dropped = 0, long_captions = 0;
  for (const Draw& draw : draws) {
    first += draw.data_set == 0;
    second += draw.data_set == 1;
    dropped += draw.is_dropped;
    long_captions += batches.caches()[draw.data_set].token_ids(draw.caption).size() == 2;
  }
  EXPECT_EQ(second, 0);
  expect_share(first, 20000, 0.25);
  expect_share(dropped, 20000, 0.1);
  expect_share(long_captions, 20000, 0.5);
}

TEST(CachedBatches, ThreadsDoNotChangeTheOrder) {
  CachedBatches one(three_caches(), {1, 1, 1}, 0.1, 7, {0, 1, 1, 1}),
      many(three_caches(), {1, 1, 1}, 0.1, 7, {0, 1, 4, 9});
  expect_equal(draws_of(one, 400, 4), draws_of(many, 400, 4));
}

TEST(CachedBatches, ResumesExactlyAtAnyStepAndBatchSize) {
  CachedBatches straight(three_caches(), {1, 2, 3}, 0.1, 9);
  const std::vector<Draw> all = draws_of(straight, 120, 6);
  for (const int64_t stop : {0, 1, 7}) {
    CachedBatches before(three_caches(), {1, 2, 3}, 0.1, 9);
    for (int64_t i = 0; i < stop; ++i) before.next(6);
    CachedBatches after(three_caches(), {1, 2, 3}, 0.1, 9);
    after.next(6);  // what was read ahead must be forgotten
    after.restore(before.position());
    EXPECT_EQ(after.position(), before.position());
    const int64_t rest = 120 - 6 * stop;
    expect_equal(draws_of(after, rest, 3), {all.end() - rest, all.end()});
  }
}

TEST(CachedBatches, TheBatchSizeMayChangeBetweenBatches) {
  CachedBatches straight(three_caches(), {1, 1, 1}, 0.1, 2),
      changing(three_caches(), {1, 1, 1}, 0.1, 2);
  std::vector<Draw> draws;
  for (const int64_t size : {3, 5, 5, 1, 16})
    for (const Draw& draw : changing.next(size).draws) draws.push_back(draw);
  expect_equal(draws, draws_of(straight, 30, 30));
}

TEST(CachedBatches, ProcessesShareTheGlobalBatch) {
  CachedBatches alone(three_caches(), {1, 1, 1}, 0.1, 3);
  CachedBatches first(three_caches(), {1, 1, 1}, 0.1, 3, {0, 2}),
      second(three_caches(), {1, 1, 1}, 0.1, 3, {1, 2});
  for (int step = 0; step < 5; ++step) {
    std::vector<Draw> both = first.next(4).draws;
    for (const Draw& draw : second.next(4).draws) both.push_back(draw);
    expect_equal(both, alone.next(8).draws);
    EXPECT_EQ(first.position(), alone.position());
    EXPECT_EQ(second.position(), alone.position());
  }
}

TEST(CachedBatches, AnotherNumberOfProcessesGoesOnWithTheSameGlobalSequence) {
  CachedBatches alone(three_caches(), {1, 2, 1}, 0.1, 6);
  DataPosition position = alone.position();
  for (const int64_t num_processes : {1, 2, 3, 1}) {
    std::vector<std::unique_ptr<CachedBatches>> processes;
    for (int64_t p = 0; p < num_processes; ++p) {
      const BatchOptions options{p, num_processes};
      processes.push_back(std::make_unique<CachedBatches>(
          three_caches(), std::vector<double>{1, 2, 1}, 0.1, 6, options));
      processes.back()->restore(position);
    }
    for (int step = 0; step < 5; ++step) {
      std::vector<Draw> all;
      for (const auto& process : processes)
        for (const Draw& draw : process->next(6 / num_processes).draws) all.push_back(draw);
      expect_equal(all, alone.next(6).draws);
    }
    for (const auto& process : processes) EXPECT_EQ(process->position(), alone.position());
    position = processes.back()->position();
  }
}

TEST(CachedBatches, LongCaptionsAreNotDrawnUnlessThereIsNoOther) {
  BatchOptions options;
  options.max_caption_tokens = 1;
  CachedBatches short_only(three_caches(), {1, 1, 1}, 0.1, 5, options);
  for (const Draw& draw : draws_of(short_only, 200, 10))
    EXPECT_EQ(short_only.caches()[draw.data_set].num_tokens(draw.caption), 1);

  const fs::path folder = fresh_folder("batches_long") / "set";
  CacheWriter writer(folder, test_origin());
  const std::vector<int64_t> captions = {writer.caption_number({1, 2, 3, 4}),
                                         writer.caption_number({1, 2, 3})};
  writer.add(at::full({1, 2, 2, 2}, 0.0, at::kFloat), {captions}, {"picture"});
  writer.finish();
  CachedBatches none_short({LatentCache::open(folder)}, {1}, 0.1, 5, options);
  for (const Draw& draw : none_short.next(20).draws) EXPECT_EQ(draw.caption, captions[1]);
}

TEST(CachedBatches, AnExampleWithoutCaptionHasNone) {
  const fs::path folder = write_test_cache(fresh_folder("batches_bare") / "set", 3, 0);
  CachedBatches batches({LatentCache::open(folder)}, {1}, 0.1, 0);
  for (const Draw& draw : batches.next(6).draws) EXPECT_EQ(draw.caption, -1);
}

TEST(CachedBatches, DamageIsReportedByNext) {
  const fs::path folder = write_test_cache(fresh_folder("batches_damaged") / "set", 3);
  std::fstream file(folder / "caption_offsets-00000.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(256);
  const int64_t wrong[] = {900, 800, 700, 600};
  file.write(reinterpret_cast<const char*>(wrong), sizeof wrong);
  file.close();
  CachedBatches batches({LatentCache::open(folder)}, {1}, 0.1, 0);
  EXPECT_THROW(batches.next(2), UserError);
}

TEST(CachedBatches, RefusesWhatDoesNotFit) {
  EXPECT_THROW(CachedBatches({}, {}, 0.1, 0), UserError);
  EXPECT_THROW(CachedBatches(three_caches(), {1, 1}, 0.1, 0), UserError);
  EXPECT_THROW(CachedBatches(three_caches(), {1, 1, -1}, 0.1, 0), UserError);
  EXPECT_THROW(CachedBatches(three_caches(), {0, 0, 0}, 0.1, 0), UserError);
  CachedBatches batches(three_caches(), {1, 1, 1}, 0.1, 0);
  EXPECT_THROW(batches.next(0), UserError);
  EXPECT_THROW(batches.restore({0, {0, 0}}), UserError);
  std::vector<LatentCache> caches = three_caches();
  CacheOrigin other = test_origin();
  other.tokenizer = "other";
  caches.push_back(
      LatentCache::open(write_test_cache(fresh_folder("batches_other") / "set", 2, 1, other)));
  EXPECT_THROW(CachedBatches(caches, {1, 1, 1, 1}, 0.1, 0), UserError);
}

}  // namespace
}  // namespace i1
