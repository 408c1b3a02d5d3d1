#include "i1/data/merge.h"

#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/data/record_builder.h"
#include "i1/data/record_stream.h"
#include "i1/data/set_report.h"
#include "i1/data/shard_reader.h"
#include "i1/data/test_records.h"
#include "i1/data/verify.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::vector<SourcePicture> pictures;
  std::vector<TableRow> rows;
};

// Pictures PREFIX0, PREFIX1, ... with two captions each, without a file.
Source make_source(const std::string& prefix, int count) {
  Source source;
  for (int i = 0; i < count; ++i) {
    const std::string key = prefix + std::to_string(i);
    source.pictures.push_back({key, {}, encode_png(flat_picture(i * 5, 16)), {}});
    source.rows.push_back({{"key", key}, {"one", "Caption of " + key}, {"two", "<b>" + key}});
  }
  return source;
}

RecordBuildOptions options_of(int64_t num_shards, int size = 8) {
  RecordBuildOptions options;
  options.resolutions = {{size}};
  options.num_shards = num_shards;
  return options;
}

void build(const Source& source, const fs::path& output, RecordBuildOptions options,
           std::optional<Span> shards = {}) {
  options.shards = shards;
  build_records(source.pictures, {source.rows, {"one", "two"}, "test"}, options, output);
}

void merge(const std::vector<fs::path>& folders, const fs::path& output = {}) {
  merge_sets({folders, output, [](std::string_view caption) { return int64_t(caption.size()); }});
}

TEST(Merge, PartsOfTwoMachinesGiveTheSetOfOne) {
  const fs::path root = fresh_folder("merge");
  const Source source = make_source("p", 11);
  build(source, root / "whole", options_of(4));
  merge({root / "whole"});
  build(source, root / "a", options_of(4), Span{0, 1});
  build(source, root / "b", options_of(4), Span{1, 4});
  expect_error("3 of 4 shards missing, the first is number 1", [&] { merge({root / "a"}); });
  merge({root / "b", root / "a"}, root / "joined");
  for (const auto& entry : fs::directory_iterator(root / "whole")) {
    if (entry.path().filename() == "report.html") continue;  // has the folder's name
    EXPECT_EQ(read_file(entry.path()), read_file(root / "joined" / entry.path().filename()))
        << entry.path();
  }
  EXPECT_TRUE(verify_records(root / "joined").is_good());
  EXPECT_EQ(RecordSet(root / "joined").num_records(), 11);
}

TEST(Merge, WholeSetsOfOtherPicturesAreNumberedOn) {
  const fs::path root = fresh_folder("merge_sets");
  build(make_source("p", 5), root / "a", options_of(2));
  build(make_source("q", 4), root / "b", options_of(3));
  merge({root / "a", root / "b"}, root / "joined");
  const VerifyReport report = verify_records(root / "joined");
  EXPECT_TRUE(report.is_good());
  EXPECT_EQ(report.num_shards, 5);
  EXPECT_EQ(report.num_records, 9);
  EXPECT_EQ(RecordSet(root / "joined").shard_lengths(), (std::vector<int64_t>{3, 2, 2, 1, 1}));
}

TEST(Merge, WhatDoesNotBelongTogetherIsRefusedInOneLine) {
  const fs::path root = fresh_folder("merge_refused");
  const Source source = make_source("p", 6);
  build(source, root / "a", options_of(2));
  build(source, root / "b", options_of(2), Span{1, 2});
  expect_error("is there twice", [&] { merge({root / "a", root / "b"}, root / "out"); });
  build(make_source("p", 1), root / "same_keys", options_of(1));
  expect_error("key \"p0\" is there twice", [&] {
    merge({root / "a", root / "same_keys"}, root / "out");
  });
  build(make_source("q", 3), root / "larger", options_of(1, 16));
  expect_error("different options (size 8 and 16)", [&] {
    merge({root / "a", root / "larger"}, root / "out");
  });
  EXPECT_FALSE(fs::exists(root / "out"));
  expect_error("--output", [&] { merge({root / "a", root / "b"}); });
  expect_error("is there already", [&] { merge({root / "a"}, root / "b"); });
  fs::remove(sidecar_path(root / "a" / shard_name(0, 2)));
  expect_error("has no sidecar", [&] { merge({root / "a"}); });
  fs::rename(root / "b" / shard_name(1, 2), root / "b" / shard_name(0, 2));
  fs::rename(sidecar_path(root / "b" / shard_name(1, 2)),
             sidecar_path(root / "b" / shard_name(0, 2)));
  expect_error("was renamed", [&] { merge({root / "b"}); });
}

TEST(Merge, RemovesWhatKilledWorkersLeft) {
  const fs::path root = fresh_folder("merge_leftovers");
  build(make_source("p", 3), root, options_of(1));
  const fs::path shard = root / shard_name(0, 1);
  for (const char* end : {".aB3dE9", ".json.aB3dE9"})
    write_file_atomically(shard.string() + end, "half");
  write_file_atomically(root / "notes.aB3dE9", "kept");
  merge({root});
  EXPECT_FALSE(fs::exists(shard.string() + ".aB3dE9"));
  EXPECT_FALSE(fs::exists(shard.string() + ".json.aB3dE9"));
  EXPECT_TRUE(fs::exists(root / "notes.aB3dE9"));
}

TEST(Verify, FindsAnyFlippedByte) {
  const fs::path root = fresh_folder("flips");
  build(make_source("p", 2), root, options_of(1));
  merge({root});
  ASSERT_TRUE(verify_records(root).is_good());
  for (const std::string& name : {shard_name(0, 1), shard_name(0, 1) + ".json",
                                  std::string("features.json"), std::string("dataset_info.json")}) {
    const std::string whole = read_file(root / name);
    for (size_t at = 0; at < whole.size(); at += 37) {
      std::string damaged = whole;
      damaged[at] ^= 4;
      write_file_atomically(root / name, damaged);
      bool is_good = true;
      try {
        is_good = verify_records(root).is_good();
      } catch (const UserError&) {
        is_good = false;
      }
      EXPECT_FALSE(is_good) << name << ", byte " << at;
    }
    write_file_atomically(root / name, whole);
  }
  EXPECT_TRUE(verify_records(root).is_good());
}

TEST(Verify, AShardWithoutItsSidecarIsTold) {
  const fs::path root = fresh_folder("no_sidecar");
  build(make_source("p", 4), root, options_of(2));
  fs::remove(sidecar_path(root / shard_name(0, 2)));
  const VerifyReport report = verify_records(root);
  ASSERT_EQ(report.file_faults.size(), 1u);
  EXPECT_NE(report.file_faults[0].find("has no sidecar"), std::string::npos);
}

TEST(Report, TellsCountsAndCaptionsAndEscapesThem) {
  const fs::path root = fresh_folder("report");
  Source source = make_source("p", 5);
  source.pictures.push_back({"p0.broken", {}, "no picture", {}});
  source.rows.push_back({{"key", "p0.broken"}, {"one", "x"}, {"two", "y"}});
  source.pictures.push_back({"silent", {}, encode_png(flat_picture(1)), {}});
  build(source, root, options_of(2));
  merge({root});
  const auto report = nlohmann::json::parse(read_file(root / "report.json"));
  EXPECT_EQ(report["source_pictures"], 7);
  EXPECT_EQ(report["pictures"], 5);
  EXPECT_EQ(report["left_out"][kWithoutCaption]["count"], 1);
  EXPECT_EQ(report["left_out"][kNotDecoded]["count"], 1);
  EXPECT_EQ(report["captions"]["captions"], 10);
  EXPECT_EQ(report["captions"]["words_a_caption"]["median"], 1);
  EXPECT_EQ(report["captions"]["tokens_a_caption"]["histogram"]["13"], 5);
  EXPECT_EQ(report["captions"]["top_words"]["caption"], 5);
  const std::string page = read_file(root / "report.html");
  EXPECT_EQ(page.find("<b>p"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;p0"), std::string::npos);
  EXPECT_NE(page.find("left out: not decoded"), std::string::npos);
  EXPECT_TRUE(fs::exists(root / "sheet.png"));
  EXPECT_TRUE(fs::exists(root / "left_out.png"));
}

TEST(CaptionStatistics, CountsWordsCharactersAndScripts) {
  CaptionStatistics statistics;
  statistics.add("A cat, a \"CAT\" - and 2 dogs.");
  statistics.add("猫が好き");
  statistics.add("");
  EXPECT_EQ(statistics.num_words, 8);
  EXPECT_EQ(statistics.num_characters, 28 + 4);
  EXPECT_EQ(statistics.by_words, (std::map<int64_t, int64_t>{{0, 1}, {1, 1}, {7, 1}}));
  EXPECT_EQ(statistics.top_words(2),
            (std::vector<std::pair<std::string, int64_t>>{{"a", 2}, {"cat", 2}}));
  EXPECT_EQ(main_script("Кот and кошка"), "Cyrillic");
  EXPECT_EQ(main_script("猫很好"), "Han");
  EXPECT_EQ(main_script("Überraschung!"), "Latin");
  EXPECT_EQ(main_script("ქართული"), "other");
  EXPECT_EQ(main_script("12 🙂 \xff"), "none");
  EXPECT_EQ(quantile({{1, 5}, {9, 5}}, 0.5), 1);
  EXPECT_EQ(quantile({{1, 5}, {9, 5}}, 0.51), 9);
}

}  // namespace
}  // namespace i1
