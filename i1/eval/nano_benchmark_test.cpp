#include "i1/eval/nano_benchmark.h"

#include <gtest/gtest.h>

#include <set>

#include "i1/core/random.h"
#include "i1/core/testing.h"
#include "i1/data/example.h"
#include "i1/data/shard_writer.h"
#include "i1/eval/nano_free_prompts.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

Image picture_of(uint64_t seed) {
  Image image;
  image.width = image.height = 32;
  image.pixels.resize(32 * 32 * 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(RandomStream{seed, 1}.below(i, 256));
  }
  return image;
}

TruthEntry entry_of(const std::string& style, uint64_t number, const std::string& held_out = "",
                    bool has_tone = false) {
  const std::string name = concat("concept ", number);
  return {style, name, held_out, concat(name, ", ", style), has_tone, picture_of(number)};
}

// Ten pictures of two styles seen, two of a style held out, four with a skin tone held out.
std::vector<TruthEntry> small_truth() {
  std::vector<TruthEntry> truth;
  for (uint64_t i = 0; i < 10; ++i) truth.push_back(entry_of(i % 2 ? "flat" : "3d", i));
  for (uint64_t i = 10; i < 12; ++i) truth.push_back(entry_of("flat", i, "style"));
  for (uint64_t i = 12; i < 16; ++i) truth.push_back(entry_of("cartoon", i, "grid", true));
  return truth;
}

// Draws each caption's true picture.
DrawFunction perfect(const std::vector<TruthEntry>& truth) {
  return [&truth](const std::vector<std::string>& captions) {
    std::vector<Image> pictures;
    for (const std::string& caption : captions) {
      for (const TruthEntry& entry : truth)
        if (entry.caption == caption) pictures.push_back(entry.picture);
    }
    return pictures;
  };
}

TEST(NanoBenchmark, WhoDrawsTheTruthIsAlwaysRight) {
  const std::vector<TruthEntry> truth = small_truth();
  const NanoScores scores = run_nano_benchmark(truth, 200, perfect(truth));
  ASSERT_EQ(scores.groups.size(), 3u);
  for (const auto& [name, score] : scores.groups) {
    EXPECT_EQ(score.top1, 1) << name;
    EXPECT_EQ(score.mean_distance_to_truth, 0) << name;
  }
  EXPECT_EQ(scores.groups.at("seen").num_queries, 10);
  EXPECT_EQ(scores.groups.at("held-out style").num_queries, 2);
  EXPECT_EQ(scores.groups.at("held-out grid").num_queries, 4);
}

TEST(NanoBenchmark, GalleriesAreAllPicturesOfTheStyleWithOrWithoutTone) {
  const std::vector<TruthEntry> truth = small_truth();
  const NanoScores scores = run_nano_benchmark(truth, 200, perfect(truth));
  // Five in 3d among five, five flat ones among seven: the two held out are there to be mistaken.
  EXPECT_NEAR(scores.groups.at("seen").chance_top1, (1 / 5. + 1 / 7.) / 2, 1e-12);
  EXPECT_NEAR(scores.groups.at("held-out style").chance_top1, 1 / 7., 1e-12);
  EXPECT_NEAR(scores.groups.at("held-out grid").chance_top1, 1 / 4., 1e-12);
}

TEST(NanoBenchmark, WhoDrawsTheSameForAllIsNeverRight) {
  const std::vector<TruthEntry> truth = small_truth();
  const NanoScores scores =
      run_nano_benchmark(truth, 200, [](const std::vector<std::string>& captions) {
        Image grey = picture_of(99);
        std::fill(grey.pixels.begin(), grey.pixels.end(), 128);
        return std::vector<Image>(captions.size(), grey);
      });
  // One picture of each gallery is the nearest to grey, so at most one question each is met.
  EXPECT_LE(scores.groups.at("seen").top1, 2 / 10.);
  EXPECT_LE(scores.groups.at("held-out grid").top1, 1 / 4.);
}

TEST(NanoBenchmark, AsksTheFirstOfEachGroupAtOnceAndShowsThemBesideTheTruth) {
  const std::vector<TruthEntry> truth = small_truth();
  std::vector<size_t> asked;
  const NanoScores scores =
      run_nano_benchmark(truth, 3, [&](const std::vector<std::string>& captions) {
        asked.push_back(captions.size());
        return perfect(truth)(captions);
      });
  EXPECT_EQ(asked, (std::vector<size_t>{3, 2, 3}));
  ASSERT_EQ(scores.sheet.size(), 16u);
  EXPECT_EQ(scores.sheet[0].second, "concept 0, 3d");
  EXPECT_EQ(scores.sheet[1].second, "seen: the true picture");
  EXPECT_EQ(scores.sheet[6].second, "concept 10, flat");
}

// A set as `i1 data build nano` writes it.
class Truth : public testing::Test {
 protected:
  void write(int num_records, const std::string& metadata) {
    folder_ = fresh_folder("truth");
    ShardWriter shard(folder_ / shard_name(0, 1));
    for (int i = 0; i < num_records; ++i) {
      Example example;
      example.png = encode_png(picture_of(static_cast<uint64_t>(i)));
      example.height = example.width = 32;
      example.captions = {"short", "long"};
      example.image_name = concat("p", i);
      shard.write(example);
    }
    shard.close();
    write_file_atomically(folder_ / "metadata.jsonl", metadata);
  }

  static std::string line(const std::string& name, bool is_scored, const std::string& captions) {
    return concat(
        R"({"image_name": ")", name, R"(", "is_scored": )", is_scored ? "true" : "false",
        R"(, "style": "flat", "concept": "cook", "held_out": "grid", "tones": ["dark"], )",
        R"("captions": )", captions, "}\n");
  }

  fs::path folder_;
};

TEST_F(Truth, IsWhatIsScoredAndHasACaptionThatNamesTheStyle) {
  write(3, line("p0", false, R"(["a", "b"])") + line("p1", true, R"(["a cook", "a cook, flat"])") +
               line("p2", true, R"(["alone"])"));
  const std::vector<TruthEntry> truth = read_truth(folder_);
  ASSERT_EQ(truth.size(), 1u);
  EXPECT_EQ(truth[0].caption, "a cook, flat");
  EXPECT_EQ(truth[0].style, "flat");
  EXPECT_EQ(truth[0].concept_name, "cook");
  EXPECT_EQ(truth[0].held_out, "grid");
  EXPECT_TRUE(truth[0].has_tone);
  EXPECT_EQ(truth[0].picture.pixels, picture_of(1).pixels);
}

TEST_F(Truth, OfAnotherSetOrADamagedOneIsRefused) {
  const std::string good = line("p0", true, R"(["a", "b"])");
  write(2, good);
  expect_error("metadata.jsonl has fewer lines", [&] { read_truth(folder_); });
  write(1, line("other", true, R"(["a", "b"])"));
  expect_error("does not follow the records", [&] { read_truth(folder_); });
  write(1, "no json\n");
  expect_error("not a line of i1 data build: no json", [&] { read_truth(folder_); });
  write(1, R"({"image_name": "p0", "is_scored": true, "captions": ["a", "b"]})");  // no style
  expect_error("not a line of i1 data build", [&] { read_truth(folder_); });
  write(1, line("p0", false, R"(["a", "b"])"));
  expect_error("no scored picture", [&] { read_truth(folder_); });
  fs::remove(folder_ / "metadata.jsonl");
  expect_error("metadata.jsonl", [&] { read_truth(folder_); });
}

TEST(FreePrompts, AreSixtyFourDifferentOnes) {
  const std::vector<std::string>& prompts = nano_free_prompts();
  EXPECT_EQ(prompts.size(), 64u);
  EXPECT_EQ(std::set<std::string>(prompts.begin(), prompts.end()).size(), 64u);
  for (const std::string& prompt : prompts) EXPECT_GT(prompt.size(), 3u) << prompt;
}

}  // namespace
}  // namespace i1
