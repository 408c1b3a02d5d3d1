#include "i1/data/streamed_batches.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "i1/core/error.h"
#include "i1/data/test_records.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

StreamOptions small_options() {
  StreamOptions options;
  options.resolution = 8;
  options.seed = 3;
  options.shuffle_buffer = 32;
  return options;
}

// Everything that a batch holds, as text.
std::string text_of(const StreamedBatch& batch) {
  std::string text;
  for (size_t i = 0; i < batch.examples.size(); ++i) {
    const StreamedExample& example = batch.examples[i];
    text +=
        concat(example.data_set, "/", example.name, "/", example.caption, "/", example.is_dropped,
               "/", batch.pictures[static_cast<int64_t>(i)][0][0][0].item<int>(), "\n");
  }
  return text;
}

std::string run(const std::vector<fs::path>& folders, const StreamOptions& options,
                const std::vector<int64_t>& sizes) {
  StreamedBatches batches(folders, options);
  std::string text;
  for (const int64_t size : sizes) text += text_of(batches.next(size));
  return text;
}

TEST(StreamedBatches, ARecordsPictureCaptionAndNameBelongTogether) {
  const fs::path folder = write_test_records(fresh_folder("together"), {40, 40});
  StreamedBatches batches({folder}, small_options());
  std::set<char> which;
  for (int i = 0; i < 10; ++i) {
    const StreamedBatch batch = batches.next(16);
    EXPECT_EQ(batch.pictures.sizes(), (std::vector<int64_t>{16, 8, 8, 3}));
    for (int64_t b = 0; b < 16; ++b) {
      const StreamedExample& example = batch.examples[static_cast<size_t>(b)];
      EXPECT_TRUE(batch.pictures[b].eq(std::stoi(example.name)).all().item<bool>());
      EXPECT_EQ(example.caption.substr(0, example.caption.size() - 2), "set " + example.name);
      which.insert(example.caption.back());
    }
  }
  EXPECT_EQ(which, (std::set<char>{'a', 'b'}));
}

TEST(StreamedBatches, OrderDependsOnNeitherThreadsNorBatchSizes) {
  const std::vector<fs::path> folders = {
      write_test_records(fresh_folder("threads_a"), {30, 9}, "a"),
      write_test_records(fresh_folder("threads_b"), {11}, "b")};
  StreamOptions options = small_options();
  options.num_threads = 1;
  const std::string expected = run(folders, options, {120});
  for (const int num_threads : {1, 2, 7}) {
    options.num_threads = num_threads;
    EXPECT_EQ(run(folders, options, {120}), expected) << num_threads;
    EXPECT_EQ(run(folders, options, {1, 2, 30, 7, 80}), expected) << num_threads;
  }
  options.seed = 4;
  EXPECT_NE(run(folders, options, {120}), expected);
}

TEST(StreamedBatches, SetsAreDrawnByWeightAndCaptionsDroppedByShare) {
  const std::vector<fs::path> folders = {write_test_records(fresh_folder("weight_a"), {5}, "a"),
                                         write_test_records(fresh_folder("weight_b"), {5}, "b"),
                                         write_test_records(fresh_folder("weight_c"), {5}, "c")};
  StreamOptions options = small_options();
  options.weights = {3, 0, 1};
  options.caption_dropout = 0.2;
  StreamedBatches batches(folders, options);
  constexpr int64_t kCount = 8000;
  std::vector<double> counts(3);
  double num_dropped = 0, num_first = 0;
  for (const StreamedExample& example : batches.next(kCount).examples) {
    ++counts[static_cast<size_t>(example.data_set)];
    num_dropped += example.is_dropped;
    num_first += example.caption.back() == 'a';
  }
  const auto deviation = [&](double p) { return 4 * std::sqrt(kCount * p * (1 - p)); };
  EXPECT_NEAR(counts[0], 0.75 * kCount, deviation(0.75));
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(num_dropped, 0.2 * kCount, deviation(0.2));
  EXPECT_NEAR(num_first, 0.5 * kCount, deviation(0.5));
}

TEST(StreamedBatches, ResumesExactlyAndThroughJson) {
  const std::vector<fs::path> folders = {
      write_test_records(fresh_folder("resume_a"), {30, 9, 14}, "a"),
      write_test_records(fresh_folder("resume_b"), {11}, "b")};
  const StreamOptions options = small_options();
  StreamedBatches straight(folders, options);
  for (int before = 0; before < 12; ++before) {
    const auto json = nlohmann::json::parse(to_json(straight.position()).dump());
    StreamedBatches resumed(folders, options);
    resumed.next(3);  // its threads have run ahead
    resumed.restore(stream_position_from_json(json, "test"));
    EXPECT_EQ(resumed.position(), straight.position());
    StreamedBatches later(folders, options);
    later.restore(resumed.position());
    const std::string expected = text_of(straight.next(13));
    EXPECT_EQ(text_of(resumed.next(13)), expected) << before;
    EXPECT_EQ(text_of(later.next(13)), expected) << before;
    EXPECT_EQ(resumed.position(), straight.position());
  }
}

// 1, 3, 2, 3 and 1 processes, each at a pace of its own, handing over through JSON: by the end
// every record was read equally often, buffers included.
TEST(StreamedBatches, AnotherNumberOfProcessesReadsWhatTheOldOnesHadLeft) {
  const fs::path folder = write_test_records(fresh_folder("handed_over"), {30, 0, 9, 14, 7});
  for (const int64_t buffer : {0, 5, 40}) {
    StreamOptions options = small_options();
    options.shuffle_buffer = buffer;
    std::map<std::string, int64_t> counts;
    std::vector<StreamPosition> positions;
    int64_t num_given = 0;
    const auto give = [&](StreamedBatches& batches, int64_t count) {
      for (const StreamedExample& example : batches.next(count).examples) ++counts[example.name];
      num_given += count;
    };
    for (const int64_t num_processes : {1, 3, 2, 3}) {
      options.num_processes = num_processes;
      std::vector<StreamPosition> later;
      for (options.process = 0; options.process < num_processes; ++options.process) {
        StreamedBatches batches({folder}, options);
        if (!positions.empty()) batches.restore(positions);
        give(batches, 3 + 11 * options.process);
        const auto json = nlohmann::json::parse(to_json(batches.position()).dump());
        later.push_back(stream_position_from_json(json, "test"));
      }
      positions = later;
    }
    options.process = 0;
    options.num_processes = 1;
    StreamedBatches last({folder}, options);
    last.restore(positions);
    EXPECT_EQ(last.position().num_read, num_given) << buffer;
    const auto num_waiting = [&] {
      return static_cast<int64_t>(last.position().orders[0].buffer.size());
    };
    const int64_t num_epochs = (num_given + num_waiting()) / 60 + 2;  // none was further ahead
    while (num_given + num_waiting() < num_epochs * 60) give(last, 1);
    const StreamPosition end = last.position();
    for (const auto& [shard, index, offset] : end.orders[0].buffer)
      ++counts[std::to_string(index + std::array{0, 30, 30, 39, 53}[shard])];
    EXPECT_EQ(counts.size(), 60u);
    for (const auto& [name, count] : counts) EXPECT_EQ(count, num_epochs) << buffer << " " << name;
  }
}

TEST(StreamedBatches, TheSameNumberOfProcessesGoesOnExactly) {
  const fs::path folder = write_test_records(fresh_folder("two_go_on"), {30, 9});
  StreamOptions options = small_options();
  options.num_processes = 2;
  StreamedBatches first({folder}, options);
  options.process = 1;
  StreamedBatches second({folder}, options), resumed({folder}, options);
  first.next(5);
  second.next(7);
  resumed.restore({first.position(), second.position()});
  EXPECT_EQ(text_of(resumed.next(20)), text_of(second.next(20)));
}

TEST(StreamedBatches, AForeignPositionIsRefused) {
  const fs::path folder = write_test_records(fresh_folder("foreign"), {4});
  StreamedBatches one({folder}, small_options()), two({folder, folder}, small_options());
  EXPECT_THROW(two.restore(one.position()), UserError);
  EXPECT_THROW(two.restore(std::vector{one.position(), one.position()}), UserError);
  EXPECT_THROW(two.restore(std::vector<StreamPosition>{}), UserError);
  StreamPosition far = one.position(), odd = one.position();
  far.orders[0].epoch = 1'000'000'000'000;
  EXPECT_THROW(one.restore(std::vector{far, one.position()}), UserError);
  odd.orders[0].handed_over = {{{0, 3, 2}}};  // the shard has 4 records
  EXPECT_THROW(one.restore(odd), UserError);
  for (const char* text : {"{}", "[]", "{\"num_draws\": \"x\", \"orders\": [], \"bad\": []}",
                           "{\"num_draws\": 1, \"orders\": [{\"epoc\": 1}], \"bad\": []}",
                           "{\"num_draws\": 1, \"orders\": 5, \"bad\": []}"}) {
    EXPECT_THROW(stream_position_from_json(nlohmann::json::parse(text), "test"), UserError) << text;
  }
}

TEST(StreamedBatches, ImpossibleOptionsAreRefused) {
  const fs::path folder = write_test_records(fresh_folder("options"), {4});
  const auto expect_refused = [&](const std::vector<fs::path>& folders,
                                  const StreamOptions& options) {
    EXPECT_THROW(StreamedBatches(folders, options), UserError);
  };
  StreamOptions options = small_options();
  expect_refused({}, options);
  expect_refused({folder / "nowhere"}, options);
  options.weights = {1, 1};
  expect_refused({folder}, options);
  options.weights = {-1};
  expect_refused({folder}, options);
  options.weights = {0};
  expect_refused({folder}, options);
  options = small_options();
  options.resolution = 0;
  expect_refused({folder}, options);
  options = small_options();
  options.max_bad_fraction = 1;
  expect_refused({folder}, options);
  const fs::path empty = write_test_records(fresh_folder("options_empty"), {0});
  expect_refused({empty}, small_options());
  options.max_bad_fraction = 0;
  options.weights = {1, 0};
  EXPECT_NO_THROW(StreamedBatches({folder, empty}, options));
}

TEST(StreamedBatches, PicturesOfAnotherSizeAreFitted) {
  Example wide = test_example(9);
  wide.png = encode_png(flat_picture(9, 32));
  wide.height = wide.width = 32;
  StreamedBatches batches({write_payloads(fresh_folder("fitted"), {serialize(wide)})},
                          small_options());
  EXPECT_TRUE(batches.next(1).pictures.eq(9).all().item<bool>());
}

TEST(StreamedBatches, BadRecordsAreCountedByReasonAndSkipped) {
  std::vector<std::string> payloads;
  const auto add = [&](auto&& change) {
    Example example = test_example(static_cast<int64_t>(payloads.size()));
    change(example);
    payloads.push_back(serialize(example));
  };
  add([](Example&) {});
  add([](Example& e) { e.png = ""; });
  add([](Example& e) { e.png.resize(e.png.size() / 2); });
  add([](Example& e) { e.height = 0; });
  add([](Example& e) { e.width = 9; });
  add([](Example& e) { e.captions = {"good", "bad \xff"}; });
  add([](Example& e) { e.captions = {}; });
  payloads.push_back("no protobuf");
  payloads.push_back(serialize_example({{"image", std::vector<int64_t>{1}}}));
  const fs::path folder = write_payloads(fresh_folder("reasons"), payloads);
  std::string bytes = read_file(folder / shard_name(0, 1));
  bytes[12 + 20] ^= 1;  // the payload of record 0
  bytes += frame_record(serialize(test_example(9))) + "half";
  write_file_atomically(folder / shard_name(0, 1), bytes);

  StreamOptions options = small_options();
  options.shuffle_buffer = 0;
  options.max_bad_fraction = 0.99;
  options.needs_caption = true;
  StreamedBatches batches({folder}, options);
  for (const StreamedExample& example : batches.next(2).examples) EXPECT_EQ(example.name, "9");
  const std::map<std::string, int64_t> once = {
      {"wrong checksum", 1}, {"empty picture", 2},        {"picture does not decode", 1},
      {"no caption", 1},     {"caption is not UTF-8", 1}, {"shape does not fit the picture", 1},
      {"not an example", 1}, {"wrong features", 1},       {"cut off", 1}};
  std::map<std::string, int64_t> twice = once;
  for (auto& [reason, count] : twice) count *= 2;
  twice["cut off"] = 1;  // the second epoch has not come to its end yet
  EXPECT_EQ(batches.bad_records().counts, twice);
  EXPECT_NE(batches.bad_records().first.at("caption is not UTF-8").find("record 5"),
            std::string::npos);

  StreamedBatches resumed({folder}, options);
  resumed.restore(batches.position());
  EXPECT_EQ(resumed.bad_records(), batches.bad_records());
}

TEST(StreamedBatches, WithoutACaptionItIsEmptyUnlessOneIsNeeded) {
  Example silent = test_example(1);
  silent.captions = {};
  const fs::path folder =
      write_payloads(fresh_folder("silent"), {serialize(silent), serialize(test_example(2))});
  StreamOptions options = small_options();
  StreamedBatches lenient({folder}, options);
  int64_t num_empty = 0;
  for (const StreamedExample& example : lenient.next(20).examples) {
    EXPECT_EQ(example.caption.empty(), example.name == "1");
    num_empty += example.caption.empty();
  }
  EXPECT_GT(num_empty, 0);
  options.needs_caption = true;
  options.max_bad_fraction = 0.9;
  StreamedBatches strict({folder}, options);
  for (const StreamedExample& example : strict.next(20).examples) EXPECT_EQ(example.name, "2");
}

TEST(StreamedBatches, TooManyBadRecordsStopTheRun) {
  const fs::path folder =
      write_payloads(fresh_folder("too_many"), {serialize(test_example(0)), "junk"});
  StreamOptions options = small_options();
  options.max_bad_fraction = 0.05;  // 50 of the first 1,000
  StreamedBatches batches({folder}, options);
  try {
    batches.next(200);
    FAIL() << "the run went on";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("not an example"), std::string::npos) << error.what();
  }
}

// Flipped and cut bytes anywhere in the file: every fault is counted, none is fatal, every example
// that comes out is whole.
TEST(StreamedBatches, ThreeHundredDamagedRecordsAreCountedAndPassedOver) {
  const RandomStream random{1, fnv1a("fuzz")};
  std::map<std::string, int64_t> reasons;
  int64_t num_good = 0;
  for (int64_t round = 0; round < 30; ++round) {
    std::string bytes;
    for (int64_t i = 0; i < 10; ++i) {
      const RandomStream own = random.child("record", static_cast<uint64_t>(round * 10 + i));
      std::string payload = serialize(test_example(i));
      const auto at = static_cast<size_t>(own.below(0, static_cast<int64_t>(payload.size())));
      std::string frame;
      switch (own.below(1, 5)) {
        case 0:  // inside the message: checksums fit
          payload[at] ^= static_cast<char>(1 << own.below(2, 8));
          frame = frame_record(payload);
          break;
        case 1:
          payload.resize(at);
          frame = frame_record(payload);
          break;
        case 2:  // inside the frame
          frame = frame_record(payload);
          frame[static_cast<size_t>(own.below(3, static_cast<int64_t>(frame.size())))] ^= 4;
          break;
        case 3:
          frame = frame_record(payload);
          if (own.below(4, 4) == 0) frame.resize(at);
          break;
        default:
          frame = frame_record(payload);
      }
      bytes += frame;
    }
    const fs::path folder = fresh_folder("fuzz" + std::to_string(round));
    bytes += frame_record(serialize(test_example(10)));
    if (round % 3 == 0) bytes.resize(bytes.size() - 7);
    write_file_atomically(folder / shard_name(0, 1), bytes);
    StreamOptions options = small_options();
    options.shuffle_buffer = 0;
    options.max_bad_fraction = 0.99;
    StreamedBatches batches({folder}, options);
    try {
      for (const StreamedExample& example : batches.next(8).examples)
        num_good += !example.name.empty();
    } catch (const UserError&) {  // nothing in it can be read
    }
    for (const auto& [reason, count] : batches.bad_records().counts) reasons[reason] += count;
    for (const auto& [reason, message] : batches.bad_records().first)
      EXPECT_NE(message.find("record"), std::string::npos) << reason << ": " << message;
    fs::remove_all(folder);
  }
  EXPECT_GE(num_good, 150);
  for (const char* reason :
       {"wrong checksum", "cut off", "not an example", "picture does not decode"})
    EXPECT_GT(reasons[reason], 0) << reason;
}

}  // namespace
}  // namespace i1
