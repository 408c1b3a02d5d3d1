// Nothing in the data may stop a run: 10,000 records, most of them bad, through what reads them.
#include "i1/data/fuzzed_records.h"

#include <fstream>

#include "i1/core/memory.h"
#include "i1/data/streamed_batches.h"
#include "i1/data/verify.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kShards = 16, kRecordsPerShard = 625;
constexpr int kSide = 16;
constexpr int64_t kMostMemory = 512
                                << 20;  // address sanitizer keeps 256 MB back; a bomb takes 12 GB

const fs::path& folder() {
  static const fs::path path = fresh_folder("fuzzed") / "set";
  return path;
}

const FuzzedRecords& expected() {
  static const FuzzedRecords records =
      write_fuzzed_records(folder(), kShards, kRecordsPerShard, kSide);
  return records;
}

// How much more memory `run` has at most than there was before, mapped files included.
int64_t memory_taken_by(const std::function<void()>& run) {
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak counts from here
  const int64_t before = peak_memory();
  run();
  return peak_memory() - before;
}

TEST(FuzzedRecords, AreOfAllKinds) {
  EXPECT_GE(expected().good.size(), 3000u);
  int64_t num_bad = 0;
  for (const auto& [reason, count] : expected().bad) num_bad += count;
  EXPECT_EQ(num_bad + static_cast<int64_t>(expected().good.size()), kShards * kRecordsPerShard);
  for (const char* reason :
       {"cut off", "wrong checksum", "not an example", "wrong features", "empty picture",
        "picture does not decode", "picture is too large", "shape does not fit the picture",
        "no caption", "caption is not UTF-8"})
    EXPECT_GE(expected().bad.at(reason), 5) << reason;
}

TEST(FuzzedRecords, AnEpochGivesEveryGoodOneAndCountsEveryBadOne) {
  expected();
  StreamOptions options;
  options.resolution = kSide;
  options.shuffle_buffer = 0;
  options.needs_caption = true;
  options.max_bad_fraction = 0.99;
  const int64_t taken = memory_taken_by([&] {
    StreamedBatches batches({folder()}, options);
    std::map<std::string, int64_t> seen;
    // Every shard begins with a good record, so the next epoch's first draw is one.
    for (size_t i = 0; i <= expected().good.size(); ++i) {
      const StreamedBatch batch = batches.next(1);
      const std::string& name = batch.examples[0].name;
      ++seen[name];
      ASSERT_TRUE(expected().good.contains(name)) << name;
      const std::vector<uint8_t>& pixels = expected().good.at(name).pixels;
      EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), batch.pictures.data_ptr<uint8_t>()))
          << name;
      EXPECT_TRUE(batch.examples[0].caption == "one" || batch.examples[0].caption == "two ✓");
    }
    EXPECT_EQ(seen.size(), expected().good.size());
    EXPECT_EQ(batches.position().orders[0].epoch, 1);
    EXPECT_EQ(batches.position().num_draws, kShards * kRecordsPerShard + 1);
    EXPECT_EQ(batches.bad_records().counts, expected().bad);
  });
  EXPECT_LT(taken, kMostMemory);
}

TEST(FuzzedRecords, AreVerifiedWithTheSameCounts) {
  expected();
  const int64_t taken = memory_taken_by([&] {
    const VerifyReport report = verify_records(folder());
    EXPECT_EQ(report.num_records, kShards * kRecordsPerShard);
    EXPECT_EQ(report.bad.counts, expected().bad);
  });
  EXPECT_LT(taken, kMostMemory);
}

TEST(FuzzedRecords, ABadSetAmongGoodOnesIsNamed) {
  expected();
  const fs::path good = write_test_records(fresh_folder("fuzzed_good") / "good", {2000});
  StreamOptions options;
  options.resolution = kSide;
  options.max_bad_fraction = 0.1;
  options.weights = {0.7, 0.3};
  StreamedBatches batches({good, folder()}, options);
  expect_error(
      "more than the limit of 10 % (--max-bad-fraction); worst: " + folder().string() + " with ",
      [&] { batches.next(5000); });
}

}  // namespace
}  // namespace i1
