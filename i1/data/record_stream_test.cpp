#include "i1/data/record_stream.h"

#include <gtest/gtest.h>

#include <set>

#include "i1/core/error.h"
#include "i1/data/subset.h"
#include "i1/data/test_records.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using Places = std::vector<std::pair<int64_t, int64_t>>;

const RandomStream kStream{7, fnv1a("test")};

std::shared_ptr<const RecordSet> records(const std::string& name,
                                         const std::vector<int64_t>& lengths) {
  return std::make_shared<const RecordSet>(write_test_records(fresh_folder(name), lengths));
}

Places take(RecordOrder& order, int64_t count) {
  Places places;
  for (int64_t i = 0; i < count; ++i) {
    const RecordPlace place = order.next();
    places.emplace_back(place.shard, place.index);
  }
  return places;
}

void cut_file(const fs::path& path, uintmax_t bytes) { fs::resize_file(path, bytes); }

TEST(RecordSet, KnowsItsLengthsWithAndWithoutMetadata) {
  const fs::path folder = write_test_records(fresh_folder("lengths"), {3, 0, 5});
  EXPECT_EQ(RecordSet(folder).shard_lengths(), (std::vector<int64_t>{3, 0, 5}));
  fs::remove(folder / "dataset_info.json");
  EXPECT_EQ(RecordSet(folder).shard_lengths(), (std::vector<int64_t>{3, 0, 5}));
  EXPECT_EQ(RecordSet(folder).num_records(), 8);
}

TEST(RecordSet, RefusesMissingShardsAndForeignMetadata) {
  const fs::path folder = write_test_records(fresh_folder("missing"), {2, 2});
  fs::remove(folder / shard_name(1, 2));
  EXPECT_THROW(RecordSet{folder}, UserError);
  write_test_records(folder, {2, 2});
  write_test_records(folder / "other", {1});
  fs::copy_file(folder / "other/dataset_info.json", folder / "dataset_info.json",
                fs::copy_options::overwrite_existing);
  EXPECT_THROW(RecordSet{folder}, UserError);
  EXPECT_THROW(RecordSet{folder / "nowhere"}, UserError);
}

TEST(RecordOrder, AnEpochHasEveryRecordOnce) {
  const auto set = records("epoch", {20, 1, 0, 40, 7});
  RecordOrder order(set, kStream, {});
  std::set<Places> orders;
  for (int64_t epoch = 0; epoch < 10; ++epoch) {
    const Places places = take(order, 68);
    EXPECT_EQ(std::set(places.begin(), places.end()).size(), 68u);
    EXPECT_EQ(order.state().epoch, epoch);
    orders.insert(places);
  }
  EXPECT_GT(orders.size(), 7u);
}

TEST(RecordOrder, ShardsAreReadInTurnsOfSixteen) {
  const auto set = records("turns", {40, 40});
  RecordOrder order(set, kStream, {});
  const Places places = take(order, 80);
  const std::vector<std::pair<size_t, size_t>> turns = {{0, 16},  {16, 32}, {32, 48},
                                                        {48, 64}, {64, 72}, {72, 80}};
  for (size_t turn = 0; turn < turns.size(); ++turn) {
    for (size_t i = turns[turn].first; i < turns[turn].second; ++i)
      EXPECT_EQ(places[i].first, places[turn % 2 * 16].first) << i;
  }
}

TEST(RecordOrder, NoMoreThanSixteenShardsAreOpen) {
  const auto set = records("open", std::vector<int64_t>(40, 3));
  RecordOrder order(set, kStream, {});
  for (int i = 0; i < 120; ++i) {
    order.next();
    EXPECT_LE(order.state().open.size(), 16u);
  }
}

TEST(RecordOrder, ABufferShufflesAndLosesNothing) {
  const auto set = records("buffer", {100});
  RecordOrder order(set, kStream, {.shuffle_buffer = 10});
  const Places places = take(order, 1000);
  int64_t num_in_order = 0;
  std::map<int64_t, int64_t> counts;
  for (size_t i = 0; i < places.size(); ++i) {
    ++counts[places[i].second];
    num_in_order += i > 0 && places[i].second == places[i - 1].second + 1;
  }
  EXPECT_LT(num_in_order, 300);
  EXPECT_EQ(counts.size(), 100u);  // epochs overlap in the buffer, each example is near its tenth
  for (const auto& [index, count] : counts) EXPECT_NEAR(static_cast<double>(count), 10, 2) << index;
}

TEST(RecordOrder, ABufferLargerThanTheSetWrapsAround) {
  const auto set = records("large_buffer", {5});
  RecordOrder order(set, kStream, {.shuffle_buffer = 64});
  const Places places = take(order, 500);
  EXPECT_EQ(std::set(places.begin(), places.end()).size(), 5u);
}

TEST(RecordOrder, ProcessesShareTheExamplesOfAnEpoch) {
  const auto set = records("processes", {10, 3, 9});
  for (const int64_t num_processes : {1, 2, 3, 5, 22}) {
    std::multiset<std::pair<int64_t, int64_t>> all;
    for (int64_t process = 0; process < num_processes; ++process) {
      RecordOrder order(set, kStream, {process, num_processes});
      const Places places = take(order, even_part(22, process, num_processes).size());
      EXPECT_EQ(order.state().epoch, 0);
      all.insert(places.begin(), places.end());
    }
    EXPECT_EQ(all.size(), 22u);
    EXPECT_EQ(std::set(all.begin(), all.end()).size(), 22u) << num_processes;
  }
}

TEST(RecordOrder, ASubsetHoldsItsExamplesOnly) {
  const auto set = records("subset", {200});
  RecordOrder order(set, kStream, {.subset_fraction = 0.25});
  for (const auto& [shard, index] : take(order, 300))
    EXPECT_TRUE(is_in_subset(example_id(shard_name(shard, 1), index), 0.25));
}

TEST(RecordOrder, NothingToReadIsAnErrorNotALoop) {
  RecordOrder empty(records("empty", {0, 0}), kStream, {});
  EXPECT_THROW(empty.next(), UserError);
  RecordOrder subset(records("empty_subset", {3}), kStream, {.subset_fraction = 0});
  EXPECT_THROW(subset.next(), UserError);
  RecordOrder process(records("empty_process", {1}), kStream, {.process = 1, .num_processes = 2});
  EXPECT_THROW(process.next(), UserError);
}

TEST(RecordOrder, GoesOnFromAnyStoredState) {
  const auto set = records("restore", {30, 5, 18});
  for (const int64_t buffer : {0, 1, 7}) {
    RecordOrder straight(set, kStream, {.shuffle_buffer = buffer});
    for (int64_t before = 0; before < 130; ++before) {
      const RecordOrderState state = straight.state();
      const RecordPlace next = straight.next();
      RecordOrder resumed(set, kStream, {.shuffle_buffer = buffer});
      resumed.restore(state);
      EXPECT_EQ(resumed.next(), next) << before;
      EXPECT_EQ(resumed.state(), straight.state()) << before;
    }
  }
}

TEST(RecordOrder, AStateOfOtherShardsIsRefused) {
  RecordOrder large(records("state_large", {3, 3, 3}), kStream, {.shuffle_buffer = 4});
  take(large, 5);
  RecordOrder small(records("state_small", {3}), kStream, {.shuffle_buffer = 4});
  EXPECT_THROW(small.restore(large.state()), UserError);
  RecordOrderState odd = small.state();
  odd.open = {{0, 0, -5}};
  EXPECT_THROW(small.restore(odd), UserError);
  odd.open = {{0, -1, 0}};
  EXPECT_THROW(small.restore(odd), UserError);
}

TEST(RecordOrder, ACutShardGivesItsFaultOnceAnEpoch) {
  const fs::path folder = write_test_records(fresh_folder("cut"), {6});
  const fs::path shard = folder / shard_name(0, 1);
  const auto size = fs::file_size(shard);
  for (const uintmax_t bytes : {size - 1, size / 2, size / 6, uintmax_t{5}, uintmax_t{0}}) {
    cut_file(shard, bytes);
    const auto set = std::make_shared<const RecordSet>(folder);
    RecordOrder order(set, kStream, {});
    Places places = take(order, 12);
    int64_t num_faults = 0, epoch_length = 0;
    for (const auto& [unused, index] : places) {
      RecordReader reader = set->open(0);
      try {
        if (reader.skip(index + 1) < index + 1) ++num_faults;
      } catch (const RecordError&) {
        ++num_faults;
      }
      if (num_faults == 1 && epoch_length == 0) epoch_length = index + 1;
    }
    EXPECT_EQ(num_faults, 12 / epoch_length) << bytes;
  }
}

}  // namespace
}  // namespace i1
