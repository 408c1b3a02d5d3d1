#include "i1/data/caption_files.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "i1/core/testing.h"
#include "i1/data/caption_rows.h"
#include "i1/data/sources.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> numbered(int64_t count) {
  std::vector<std::string> keys;
  for (int64_t i = 0; i < count; ++i) keys.push_back(concat("k", i));
  return keys;
}

TEST(CaptionAnswers, OutliveTheirObject) {
  const fs::path folder = fresh_folder("answers");
  {
    CaptionAnswers answers(folder, {});
    answers.add({"s", "i", "a \"cat\"\n"});
    EXPECT_EQ(*answers.with_source("s"), "a \"cat\"\n");
  }
  EXPECT_TRUE(fs::exists(folder / "captions-0-of-1.partial.jsonl"));
  CaptionAnswers answers(folder, {});
  EXPECT_EQ(*answers.with_source("s"), "a \"cat\"\n");
  EXPECT_EQ(*answers.with_id("i"), "a \"cat\"\n");
  EXPECT_EQ(answers.with_id("s"), nullptr);
}

TEST(CaptionAnswers, MoveToTheCache) {
  const fs::path folder = fresh_folder("answers");
  for (const int64_t part : {0, 1}) {
    CaptionAnswers answers(folder, {part, 2});
    answers.add({concat("s", part), concat("i", part), "a cat"});
    answers.finish();
    EXPECT_FALSE(fs::exists(folder / concat("captions-", part, "-of-2.partial.jsonl")));
  }
  const CaptionAnswers answers(folder, {0, 1});
  EXPECT_NE(answers.with_id("i0"), nullptr);
  EXPECT_NE(answers.with_id("i1"), nullptr);
}

TEST(CaptionAnswers, ALineCutAnywhereCostsThatLineAlone) {
  const fs::path folder = fresh_folder("answers"), path = folder / "captions-0-of-1.partial.jsonl";
  {
    CaptionAnswers answers(folder, {});
    answers.add({"s0", "i0", "a cat"});
    answers.add({"s1", "i1", "a dog"});
  }
  const std::string text = read_file(path);
  for (size_t size = text.find('\n') + 1; size < text.size() - 1; ++size) {
    write_file_atomically(path, text.substr(0, size));
    {
      CaptionAnswers answers(folder, {});
      EXPECT_NE(answers.with_id("i0"), nullptr) << size;
      EXPECT_EQ(answers.with_id("i1"), nullptr) << size;
      answers.add({"s2", "i2", "a fox"});
    }
    EXPECT_NE(CaptionAnswers(folder, {}).with_id("i2"), nullptr) << size;
  }
}

TEST(CaptionAnswers, HostileLinesArePassedOver) {
  const fs::path folder = fresh_folder("answers");
  write_file_atomically(folder / "cache.jsonl",
                        "\n[]\nnull\n{}\n{\"caption\": 3}\n\xff\xfe\n{\"id\": \"i\"}\n"
                        "{\"source\": \"s\", \"id\": \"j\", \"caption\": \"a cat\"}\n{\"id");
  const CaptionAnswers answers(folder, {});
  EXPECT_EQ(answers.with_id("i"), nullptr);
  EXPECT_EQ(*answers.with_id("j"), "a cat");
}

TEST(CaptionAnswers, BelongToOneProcessAPart) {
  const fs::path folder = fresh_folder("answers");
  const CaptionAnswers first(folder, {0, 2}), other(folder, {1, 2});
  expect_error("another process is at work", [&] { CaptionAnswers(folder, {0, 2}); });
}

TEST(CaptionFiles, AppearWhenEachOfTheirPicturesIsSettled) {
  const fs::path folder = fresh_folder("captions");
  CaptionFiles files(folder, {1, 3}, numbered(502));
  const fs::path first = folder / "captions-1-of-3-00000.json",
                 second = folder / "captions-1-of-3-00001.json";
  for (int64_t i = 499; i > 0; --i) EXPECT_FALSE(files.set(i, concat("c", i)));
  EXPECT_FALSE(fs::exists(first));
  EXPECT_TRUE(files.skip(0));
  const auto captions = nlohmann::ordered_json::parse(read_file(first));
  EXPECT_EQ(captions.size(), 499u);
  EXPECT_EQ(captions.begin().key(), "k1");  // in the order of the list, not of the answers
  EXPECT_EQ(captions.begin().value(), "c1");
  EXPECT_FALSE(files.set(500, "x"));
  EXPECT_FALSE(fs::exists(second));
  EXPECT_TRUE(files.set(501, "y"));
  EXPECT_EQ(nlohmann::json::parse(read_file(second)).size(), 2u);
}

TEST(CaptionFiles, OfAnotherListAreRemoved) {
  const fs::path folder = fresh_folder("captions");
  for (const char* name : {"captions-0-of-1-00000.json", "captions-0-of-1-00007.json",
                           "captions-0-of-2-00007.json", "mine.json"})
    write_file_atomically(folder / name, "{}");
  CaptionFiles files(folder, {}, numbered(3));
  files.remove_others();
  EXPECT_FALSE(fs::exists(folder / "captions-0-of-1-00000.json"));
  EXPECT_FALSE(fs::exists(folder / "captions-0-of-1-00007.json"));
  EXPECT_TRUE(fs::exists(folder / "captions-0-of-2-00007.json"));  // of another part
  EXPECT_TRUE(fs::exists(folder / "mine.json"));
}

TEST(MergeCaptions, GivesTheTableThatABuildReads) {
  const fs::path folder = fresh_folder("captions"), table = folder / "table.json";
  for (int64_t part = 0; part < 3; ++part) {  // the last one has no pictures
    std::vector<std::string> keys;
    if (part < 2) keys = {concat("a", part), concat("b \"", part)};
    CaptionFiles files(folder, {part, 3}, keys);
    for (size_t i = 0; i < keys.size(); ++i)
      files.set(static_cast<int64_t>(i), concat("caption of ", keys[i]));
  }
  EXPECT_EQ(merge_captions(folder, "long", table), 4);
  const auto rows = read_caption_rows(table);
  EXPECT_EQ(rows[0]["key"], "a0");
  const CaptionTable captions(rows, {"long"}, "table");
  EXPECT_EQ(captions.find("b \"1")->front(), "caption of b \"1");
}

TEST(MergeCaptions, TellsWhatIsMissingOrWrong) {
  const fs::path folder = fresh_folder("captions"), table = folder / "table.json";
  const auto merge = [&] { merge_captions(folder, "caption", table); };
  const auto write = [&](const char* name, const char* text) {
    write_file_atomically(folder / name, text);
  };
  expect_error("no captions here", merge);
  write("captions-0-of-2-00000.json", "{\"a\": \"x\"}");
  expect_error("captions-1-of-2-00000.json is missing", merge);
  write("captions-1-of-2-00001.json", "{\"b\": \"x\"}");
  expect_error("captions-1-of-2-00000.json is missing", merge);
  write("captions-1-of-2-00000.json", "{\"a\": \"x\"}");
  expect_error("\"a\" is in an earlier file too", merge);
  for (const char* damaged : {"", "{\"c\": \"x\"", "[]", "{\"c\": 3}", "{\"c\": null}"}) {
    write("captions-1-of-2-00000.json", damaged);
    expect_error("expected a JSON object", merge);
  }
  write("captions-1-of-2-00000.json", "{}");
  write("captions-1-of-2.partial.jsonl", "");
  expect_error("not done", merge);
  fs::remove(folder / "captions-1-of-2.partial.jsonl");
  EXPECT_FALSE(fs::exists(table));
  EXPECT_EQ(merge_captions(folder, "caption", table), 2);
  write("captions-0-of-1-00000.json", "{}");
  expect_error("remove those of one of the two runs", merge);
  expect_error("no such folder", [&] { merge_captions(folder / "none", "caption", table); });
}

TEST(CaptionFailures, AreLinesOfTwoCells) {
  const fs::path folder = fresh_folder("captions"), path = folder / "failures-0-of-1.tsv";
  write_caption_failures(folder, {}, {{5, {"b", "no"}}, {2, {"a\tb", "one\nline"}}});
  EXPECT_EQ(read_file(path), "a b\tone line\nb\tno\n");
  write_caption_failures(folder, {}, {});
  EXPECT_FALSE(fs::exists(path));
}

TEST(FitWithin, ScalesDownOnly) {
  const auto size = [](int width, int height, int longest) {
    const Image image = fit_within(make_image(width, height), longest);
    EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.width) * image.height * 3);
    return std::pair(image.width, image.height);
  };
  EXPECT_EQ(size(100, 50, 64), std::pair(64, 32));
  EXPECT_EQ(size(50, 100, 64), std::pair(32, 64));
  EXPECT_EQ(size(64, 64, 64), std::pair(64, 64));
  EXPECT_EQ(size(3, 2, 64), std::pair(3, 2));
  EXPECT_EQ(size(1, 3000, 64), std::pair(1, 64));
}

}  // namespace
}  // namespace i1
