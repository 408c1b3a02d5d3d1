#include "i1/data/record_builder.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <set>

#include "i1/core/error.h"
#include "i1/data/caption_rows.h"
#include "i1/data/merge.h"
#include "i1/data/picture_sample.h"
#include "i1/data/record_stream.h"
#include "i1/data/shard_reader.h"
#include "i1/data/test_records.h"
#include "i1/data/verify.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void put(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, bytes);
}

// Pictures of 16 pixels: a/0, a/1, ..., and what cannot be used among them.
fs::path make_pictures(const std::string& name) {
  const fs::path root = fresh_folder(name);
  for (int i = 0; i < 10; ++i)
    put(root / "a" / (std::to_string(i) + ".PNG"), encode_png(flat_picture(i, 16)));
  put(root / "a-b/small.png", encode_png(flat_picture(50, 4)));
  put(root / "b/broken.jpg", "no picture");
  put(root / "b/silent.png", encode_png(flat_picture(60, 16)));
  put(root / "notes.txt", "no picture");
  return root;
}

CaptionTable captions() {
  std::vector<TableRow> rows;
  for (int i = 0; i < 10; ++i)
    rows.push_back({{"key", i}, {"one", "first"}, {"two", std::to_string(i)}});
  for (const char* key : {"small", "broken"})
    rows.push_back({{"key", key}, {"one", "x"}, {"two", ""}});
  rows.push_back({{"key", "silent"}, {"one", "x"}, {"two", nullptr}});
  return {rows, {"one", "two"}, "test"};
}

RecordBuildOptions small_options() {
  RecordBuildOptions options;
  options.resolutions = {{8}};
  options.num_shards = 3;
  return options;
}

std::vector<std::string> names_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& shard : find_shards(folder)) {
    const std::string bytes = read_file(shard);
    RecordReader reader(std::as_bytes(std::span(bytes)), "test");
    while (const auto payload = reader.next())
      names.push_back(parse_stored_example(*payload, "test").image_name);
  }
  return names;
}

TEST(Sources, PicturesComeInTheOrderOfPathComponents) {
  const fs::path root = make_pictures("order");
  std::vector<std::string> keys;
  for (const SourcePicture& picture : list_folder(root)) keys.push_back(picture.key);
  ASSERT_EQ(keys.size(), 13u);
  EXPECT_EQ(keys[9], "9");
  EXPECT_EQ(keys[10], "small");  // "a/..." before "a-b/...", though '-' sorts before '/'
  EXPECT_EQ(keys[11], "broken");
  EXPECT_THROW(list_folder(root / "nowhere"), UserError);
}

TEST(Sources, CellsBecomeTextAsPythonWritesThem) {
  EXPECT_EQ(text_of_cell(17), "17");
  EXPECT_EQ(text_of_cell(17.0), "17.0");
  EXPECT_EQ(text_of_cell(0.1), "0.1");
  EXPECT_EQ(text_of_cell(1e22), "1e+22");
  EXPECT_EQ(text_of_cell(nullptr), "None");
  EXPECT_EQ(text_of_cell(true), "True");
  EXPECT_EQ(text_of_cell("a"), "a");
}

TEST(Sources, TheFirstKeyFieldCountsEvenWhenNull) {
  EXPECT_EQ(table_key({{"id", 1}, {"__key__", "k"}}, "test"), "k");
  EXPECT_EQ(table_key({{"image_id", nullptr}, {"id", 1}}, "test"), "None");
  EXPECT_THROW(table_key({{"name", 1}}, "test"), UserError);
}

TEST(Sources, AnImageThatIsNullGivesWayAndOthersDoNot) {
  EXPECT_EQ(table_picture({{"image", "i"}, {"jpg", "j"}}), "i");
  EXPECT_EQ(table_picture({{"image", nullptr}, {"webp", "w"}, {"png", "p"}}), "w");
  EXPECT_FALSE(table_picture({{"jpg", nullptr}, {"png", "p"}}).has_value());
  EXPECT_FALSE(table_picture({{"text", "x"}}).has_value());
}

TEST(Sources, OfARepeatedKeyTheLastValueOfEachColumnWins) {
  const CaptionTable table({{{"key", "k"}, {"one", "old"}, {"two", "kept"}},
                            {{"key", "k"}, {"one", "new"}, {"two", nullptr}}},
                           {"one", "two"}, "test");
  EXPECT_EQ(table.find("k"), (std::vector<std::string>{"new", "kept"}));
  EXPECT_FALSE(table.find("other").has_value());
}

TEST(Sources, AnUnknownColumnNamesTheNearest) {
  try {
    CaptionTable({{{"key", "k"}, {"caption1", "x"}}}, {"captoin1"}, "test");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("\"caption1\""), std::string::npos) << error.what();
  }
  EXPECT_THROW(CaptionTable({{{"one", "x"}}}, {"one"}, "test"), UserError);
}

TEST(Sources, DamagedTablesAndMetadataAreNamed) {
  const fs::path file = fresh_folder("tables") / "table.json";
  for (const char* text : {"", "{}", "[", "5"}) {
    put(file, text);
    EXPECT_THROW(read_caption_rows(file), UserError) << text;
  }
  for (const char* text : {"{\"image_name\": \"a\"}", "{\"short_edge\": 5}", "junk",
                           "{\"image_name\": \"a\", \"short_edge\": \"wide\"}"}) {
    put(file, std::string("\n") + text);
    try {
      read_shape_metadata(file);
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find("line 2"), std::string::npos) << error.what();
    }
  }
}

using Counts = std::map<std::string, int64_t>;

TEST(RecordBuilder, CountsEveryPictureOnceAndWritesTheGood) {
  const fs::path output = fresh_folder("built");
  RecordBuildOptions options = small_options();
  options.resolutions = {{8, 8}};
  const BuiltSet built =
      build_records(list_folder(make_pictures("built_from")), captions(), options, output)[0];
  EXPECT_EQ(built.num_records(), 10);
  EXPECT_EQ(built.left_out().counts,
            (Counts{{kWithoutCaption, 1}, {kTooSmall, 1}, {kNotDecoded, 1}}));
  EXPECT_EQ(built.shards[0].num_records, 5);
  merge_sets({{output}, {}, {}});
  EXPECT_EQ(RecordSet(output).shard_lengths(), (std::vector<int64_t>{5, 4, 1}));
  const VerifyReport verified = verify_records(output);
  EXPECT_EQ(verified.num_records, 10);
  EXPECT_EQ(verified.num_captions, 20);
  EXPECT_TRUE(verified.is_good());
}

TEST(RecordBuilder, PartsOfARunGiveTheBytesOfTheWhole) {
  const auto pictures = list_folder(make_pictures("parts_from"));
  const fs::path whole = fresh_folder("whole"), parts = fresh_folder("parts");
  RecordBuildOptions options = small_options();
  options.target_count = 7;
  build_records(pictures, captions(), options, whole);
  for (int64_t shard = 2; shard >= 0; --shard) {
    options.shards = Span{shard, shard + 1};
    build_records(pictures, captions(), options, parts);
  }
  for (const fs::path& shard : find_shards(whole))
    EXPECT_EQ(read_file(shard), read_file(parts / shard.filename()));
}

TEST(RecordBuilder, ASampleIsDrawnWithoutReplacementAndBySeed) {
  const auto pictures = list_folder(make_pictures("sample"));
  RecordBuildOptions options = small_options();
  options.target_count = 6;
  const auto keys = [&](uint64_t seed) {
    options.seed = seed;
    std::vector<std::string> names;
    BadRecords left_out;
    for (const SourcePicture& picture : select_pictures(pictures, options, left_out))
      names.push_back(picture.key);
    return names;
  };
  const auto first = keys(1);
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), 6u);
  EXPECT_EQ(keys(1), first);
  EXPECT_NE(keys(2), first);
  options.resolutions = {{8, 8}};  // now by header: neither the small nor the broken one
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const std::string& key : keys(seed)) EXPECT_TRUE(key != "small" && key != "broken");
  }
  options.target_count = 0;
  EXPECT_TRUE(keys(1).empty());
}

TEST(RecordBuilder, AShardRangeOutsideTheSetIsRefused) {
  RecordBuildOptions options = small_options();
  for (const Span range : {Span{-1, 1}, Span{2, 1}, Span{0, 4}}) {
    options.shards = range;
    EXPECT_THROW(build_records({}, captions(), options, fresh_folder("range")), UserError);
  }
}

TEST(RecordBuilder, NoPicturesGiveEmptyShards) {
  const fs::path output = fresh_folder("no_pictures");
  build_records({}, captions(), small_options(), output);
  EXPECT_TRUE(names_of(output).empty());
  merge_sets({{output}, {}, {}});
  EXPECT_EQ(RecordSet(output).num_records(), 0);
}

TEST(Verify, NamesWhatIsWrong) {
  const fs::path folder = write_test_records(fresh_folder("verify"), {4, 3});
  EXPECT_EQ(verify_records(folder).bad.total(), 0);
  Example silent = test_example(1);
  silent.captions.clear();
  put(folder / shard_name(1, 2), frame_record(serialize(silent)) + frame_record("junk"));
  const VerifyReport report = verify_records(folder);
  EXPECT_EQ(report.bad.counts,
            (std::map<std::string, int64_t>{{"no caption", 1}, {"not an example", 1}}));
  EXPECT_NE(report.metadata_fault.find("3 records in shard 1, but 2"), std::string::npos)
      << report.metadata_fault;
  fs::remove(folder / shard_name(0, 2));
  EXPECT_THROW(verify_records(folder), UserError);
}

TEST(RecordBuilder, ABackgroundLiesUnderWhatIsTransparent) {
  const fs::path root = fresh_folder("background");
  Image glass = make_image(16, 16, 4);
  for (size_t i = 0; i < glass.pixels.size(); i += 4) glass.pixels[i] = 100;  // red, alpha 0
  put(root / "pictures/0.png", encode_png(glass));
  RecordBuildOptions options = small_options();
  options.num_shards = 1;
  const auto first_pixel = [&](const fs::path& output) {
    build_records(list_folder(root / "pictures"), captions(), options, output);
    std::vector<int> pixel;
    for_each_record(
        output / shard_name(0, 1),
        [&](StoredRecord& record) {
          const Image image = decode_picture(record.example, record.where);
          pixel.assign(image.pixels.begin(), image.pixels.begin() + 3);
        },
        [](const RecordError& error) { throw error; });
    return pixel;
  };
  EXPECT_EQ(first_pixel(root / "dropped"), (std::vector{100, 0, 0}));
  options.background = {255, 254, 253};
  EXPECT_EQ(first_pixel(root / "composited"), (std::vector{255, 254, 253}));
}

TEST(RecordBuilder, TheReportShowsPicturesFromEveryPartAndReasonsNameTheFirst) {
  const fs::path root = fresh_folder("sheet_of_many");
  std::vector<TableRow> rows;
  for (int i = 0; i < 200; ++i) {
    const std::string key = std::to_string(1000 + i);
    put(root / "pictures" / (key + ".png"), i == 70 ? "no picture" : encode_png(flat_picture(i)));
    if (i != 90) rows.push_back({{"key", key}, {"one", "caption " + key}});
  }
  build_records(list_folder(root / "pictures"), {rows, {"one"}, "test"}, small_options(),
                root / "set");
  const MergedSet set = merge_sets({{root / "set"}, {}, {}});
  std::vector<std::string> accepted, rejected;
  for (const ShownExample& shown : set.shown)
    (shown.picture.record >= 0 ? accepted : rejected).push_back(shown.picture.key);
  EXPECT_GE(accepted.size(), 58u);
  EXPECT_LE(accepted.size(), 60u);
  EXPECT_EQ(accepted.front(), "1000");
  EXPECT_GE(accepted.back(), "1180");
  EXPECT_EQ(rejected, (std::vector<std::string>{"1070", "1090"}));
  const BadRecords left_out = left_out_of(set.shards);
  EXPECT_NE(left_out.first.at(kNotDecoded).find("1070"), std::string::npos);
  EXPECT_EQ(left_out.first.at(kWithoutCaption), "1090");
}

TEST(RecordBuilder, WhatIsThereAndWholeIsNotWrittenAgain) {
  const auto pictures = list_folder(make_pictures("again_from"));
  const fs::path output = fresh_folder("again");
  const auto build = [&] {
    return build_records(pictures, captions(), small_options(), output)[0];
  };
  const BuiltSet first = build();
  EXPECT_EQ(first.num_found, 0);
  const fs::path shard = output / shard_name(1, 3);
  const std::string bytes = read_file(shard);
  // A shard that was cut off, one whose sidecar was not written yet, one with a damaged sidecar.
  put(shard, bytes.substr(0, bytes.size() - 1));
  EXPECT_EQ(build().num_found, 2);
  EXPECT_EQ(read_file(shard), bytes);
  fs::remove(sidecar_path(shard));
  EXPECT_EQ(build().num_found, 2);
  put(sidecar_path(output / shard_name(0, 3)), "{}");
  const BuiltSet mended = build();
  EXPECT_EQ(mended.num_found, 2);
  EXPECT_EQ(mended.num_records(), first.num_records());
  EXPECT_EQ(build().num_found, 3);
}

TEST(RecordBuilder, ShardsOfAnotherBuildAreToldNotMixedIn) {
  const auto pictures = list_folder(make_pictures("other_from"));
  const fs::path output = fresh_folder("other");
  build_records(pictures, captions(), small_options(), output);
  RecordBuildOptions options = small_options();
  options.resolutions = {{4}};
  expect_error("(size 8 and 4)", [&] { build_records(pictures, captions(), options, output); });
  auto fewer = pictures;
  fewer.pop_back();
  expect_error("other pictures or captions",
               [&] { build_records(fewer, captions(), small_options(), output); });
}

TEST(RecordBuilder, TheBytesDoNotDependOnThreads) {
  const auto pictures = list_folder(make_pictures("threads_from"));
  const fs::path one = fresh_folder("one_thread"), many = fresh_folder("many_threads");
  const int num_threads = at::get_num_threads();
  at::set_num_threads(1);
  build_records(pictures, captions(), small_options(), one);
  at::set_num_threads(4);
  build_records(pictures, captions(), small_options(), many);
  at::set_num_threads(num_threads);
  for (const auto& entry : fs::directory_iterator(one))
    EXPECT_EQ(read_file(entry.path()), read_file(many / entry.path().filename()));
}

TEST(RecordBuilder, SeveralResolutionsAreWhatEachAloneIs) {
  const auto pictures = list_folder(make_pictures("sizes_from"));
  const fs::path both = fresh_folder("both_sizes");
  RecordBuildOptions options = small_options();
  options.resolutions = {{8}, {16, 16}};
  const auto sets = build_records(pictures, captions(), options, both);
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0].num_records(), 11);
  EXPECT_EQ(sets[1].num_records(), 10) << "the small one is not in the larger set";
  for (const Resolution& resolution : {Resolution{8}, Resolution{16, 16}}) {
    const fs::path alone = fresh_folder("alone");
    options.resolutions = {resolution};
    build_records(pictures, captions(), options, alone);
    for (const fs::path& shard : find_shards(alone))
      EXPECT_EQ(read_file(shard),
                read_file(both / std::to_string(resolution.size) / shard.filename()));
  }
}

TEST(RecordBuilder, PicturesThatShareAKeyAreAllLeftOut) {
  const fs::path root = fresh_folder("shared");
  for (const char* name : {"a/1.png", "b/1.png", "b/2.png"})
    put(root / "pictures" / name, encode_png(flat_picture(1)));
  auto pictures = list_folder(root / "pictures");
  mark_shared_keys(pictures);
  const BuiltSet built = build_records(pictures, captions(), small_options(), root / "set")[0];
  EXPECT_EQ(built.num_records(), 1);
  const BadRecords left_out = built.left_out();
  EXPECT_EQ(left_out.counts, (Counts{{kSharedKey, 2}}));
  EXPECT_NE(left_out.first.at(kSharedKey).find("a/1.png and "), std::string::npos);
}

}  // namespace
}  // namespace i1
