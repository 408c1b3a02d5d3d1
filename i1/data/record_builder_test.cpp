#include "i1/data/record_builder.h"

#include <gtest/gtest.h>

#include <set>

#include "i1/core/error.h"
#include "i1/data/caption_rows.h"
#include "i1/data/record_stream.h"
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
  options.image_size = 8;
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

TEST(RecordBuilder, CountsEveryPictureOnceAndWritesTheGood) {
  const fs::path output = fresh_folder("built");
  RecordBuildOptions options = small_options();
  options.filter_shorter_edge = true;
  const RecordBuildReport report =
      build_records(list_folder(make_pictures("built_from")), captions(), options, output);
  const ShardReport total = report.total();
  EXPECT_EQ(total.written, 10);
  EXPECT_EQ(total.missing, 1);
  EXPECT_EQ(total.filtered, 1);
  EXPECT_EQ(total.decode_errors, 1);
  EXPECT_EQ(report.shards[0].written, 5);
  complete_dataset(output, 8, "test");
  EXPECT_EQ(RecordSet(output).shard_lengths(), (std::vector<int64_t>{5, 4, 1}));
  const VerifyReport verified = verify_records(output);
  EXPECT_EQ(verified.num_records, 10);
  EXPECT_EQ(verified.num_captions, 20);
  EXPECT_EQ(verified.bad.total(), 0);
  EXPECT_EQ(verified.metadata_fault, "");
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
  RecordBuildReport report;
  const auto keys = [&](uint64_t seed) {
    options.seed = seed;
    std::vector<std::string> names;
    for (const SourcePicture& picture : select_pictures(pictures, options, report))
      names.push_back(picture.key);
    return names;
  };
  const auto first = keys(1);
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), 6u);
  EXPECT_EQ(keys(1), first);
  EXPECT_NE(keys(2), first);
  options.filter_shorter_edge = true;  // now by header: neither the small nor the broken one
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
  complete_dataset(output, 8, "test");
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
  const auto first_pixel = [&] {
    const auto report =
        build_records(list_folder(root / "pictures"), captions(), options, root / "set");
    const Image& image = report.sheet.at(0).first;
    return std::vector<int>(image.pixels.begin(), image.pixels.begin() + 3);
  };
  EXPECT_EQ(first_pixel(), (std::vector{100, 0, 0}));
  options.background = {255, 254, 253};
  EXPECT_EQ(first_pixel(), (std::vector{255, 254, 253}));
}

TEST(RecordBuilder, TheSheetShowsPicturesFromEveryPartAndReasonsNameTheFirst) {
  const fs::path root = fresh_folder("sheet_of_many");
  std::vector<TableRow> rows;
  for (int i = 0; i < 200; ++i) {
    const std::string key = std::to_string(1000 + i);
    put(root / "pictures" / (key + ".png"), i == 70 ? "no picture" : encode_png(flat_picture(i)));
    if (i != 90) rows.push_back({{"key", key}, {"one", "caption " + key}});
  }
  const auto report = build_records(list_folder(root / "pictures"), {rows, {"one"}, "test"},
                                    small_options(), root / "set");
  EXPECT_GE(report.sheet.size(), 50);
  EXPECT_LE(report.sheet.size(), 60);
  EXPECT_EQ(report.sheet.front().second, "caption 1000");
  EXPECT_GE(report.sheet.back().second, "caption 1180");
  EXPECT_NE(report.total().first_decode_error.find("1070"), std::string::npos);
  EXPECT_EQ(report.total().first_missing, "1090");
}

}  // namespace
}  // namespace i1
