#include "i1/data/build.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <fstream>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/example.h"
#include "i1/data/nano_fixture.h"
#include "i1/data/nano_picture.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// Items whose colour tells their number; every `bad`-th cannot be drawn.
NanoSet colored_set(const std::string& name, int count, int bad = 0) {
  NanoSet set;
  set.name = name;
  set.left_out = {{"never tried", 3}};
  for (int i = 0; i < count; ++i) {
    const Color color{static_cast<uint8_t>(i), static_cast<uint8_t>(i / 256), 7};
    set.items.push_back({std::to_string(i),
                         {"number " + std::to_string(i), "again"},
                         {{"number", i}},
                         [=](int size) {
                           if (bad > 0 && i % bad == 0) throw LeftOut("bad luck");
                           return filled(size, size, color);
                         }});
  }
  return set;
}

std::vector<Example> read_set(const fs::path& folder) {
  std::vector<Example> examples;
  for (const fs::path& shard : find_shards(folder)) {
    const MappedFile file(shard);
    RecordReader reader(file.bytes(), shard.string());
    while (const auto payload = reader.next())
      examples.push_back(parse_stored_example(*payload, shard.string()));
  }
  return examples;
}

std::vector<nlohmann::json> read_metadata(const fs::path& folder) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(folder / "metadata.jsonl");
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(Build, PicturesCanBeReadBack) {
  const fs::path output = fresh_folder("write_set");
  const BuildReport report = write_set(colored_set("colors", 5000, 100), 32, output);
  EXPECT_EQ(report.num_pictures, 4950);
  EXPECT_EQ(report.left_out,
            (std::map<std::string, int64_t>{{"bad luck", 50}, {"never tried", 3}}));
  EXPECT_EQ(find_shards(output / "colors").size(), 2u);

  const std::vector<Example> examples = read_set(output / "colors");
  const std::vector<nlohmann::json> metadata = read_metadata(output / "colors");
  ASSERT_EQ(examples.size(), 4950u);
  ASSERT_EQ(metadata.size(), 4950u);
  for (size_t i = 0; i < examples.size(); ++i) {
    const int number = metadata[i]["number"];
    ASSERT_EQ(examples[i].image_name, std::to_string(number));
    ASSERT_EQ(metadata[i]["image_name"], examples[i].image_name);
    ASSERT_EQ(examples[i].captions,
              (std::vector<std::string>{"number " + std::to_string(number), "again"}));
    if (i % 97 != 0) continue;
    const Image picture =
        decode_image(std::as_bytes(std::span(examples[i].png)), examples[i].image_name);
    EXPECT_EQ(picture.width, 32);
    EXPECT_EQ(picture.pixels[0], number % 256);
    EXPECT_EQ(picture.pixels[1], number / 256);
  }
  const auto info = nlohmann::json::parse(read_file(output / "colors/dataset_info.json"));
  EXPECT_TRUE(info.contains("splits"));
  EXPECT_TRUE(fs::exists(output / "colors/features.json"));
  EXPECT_GT(read_image(output / "colors/sheet.png").width, 320);
}

TEST(Build, OrderIsShuffledByKeyAndIndependentOfThreads) {
  const fs::path first = fresh_folder("threads_1"), second = fresh_folder("threads_2");
  at::set_num_threads(1);
  write_set(colored_set("colors", 600), 32, first);
  at::set_num_threads(2);
  NanoSet reversed = colored_set("colors", 600);
  std::reverse(reversed.items.begin(), reversed.items.end());
  write_set(reversed, 32, second);
  const fs::path shard = fs::path("colors") / shard_name(0, 1);
  EXPECT_EQ(read_file(first / shard), read_file(second / shard));
  const std::vector<nlohmann::json> metadata = read_metadata(first / "colors");
  int num_ascending = 0;
  for (size_t i = 1; i < metadata.size(); ++i)
    num_ascending += metadata[i - 1]["number"] < metadata[i]["number"];
  EXPECT_NEAR(num_ascending, 300, 60);
}

TEST(Build, TooManyBadPicturesLeaveTheOldSetAlone) {
  const fs::path output = fresh_folder("too_many_bad");
  write_set(colored_set("colors", 40), 32, output);
  EXPECT_THROW(write_set(colored_set("colors", 40, 2), 32, output), UserError);
  EXPECT_EQ(read_set(output / "colors").size(), 40u);
  EXPECT_TRUE(fs::exists(output / "colors/sheet.png"));
}

TEST(Build, AnEmptySetIsAnEmptyShard) {
  const fs::path output = fresh_folder("empty_set");
  EXPECT_EQ(write_set(colored_set("none", 0), 32, output).num_pictures, 0);
  EXPECT_TRUE(read_set(output / "none").empty());
}

TEST(Build, NanoFromPackagesToShards) {
  NanoBuild build{fresh_folder("build_output"),
                  make_nano_sources("build"),
                  32,
                  {"emoji", "clipart", "stamps", "shapes"}};
  const std::vector<BuildReport> reports = build_nano(build);
  std::vector<std::string> names;
  for (const BuildReport& report : reports) {
    names.push_back(report.set);
    EXPECT_EQ(static_cast<int64_t>(read_set(build.output / report.set).size()),
              report.num_pictures);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"emoji", "emoji_tones", "heldout_grid",
                                             "heldout_style", "truth_emoji", "clipart", "stamps",
                                             "shapes", "heldout_shapes"}));
  EXPECT_FALSE(fs::exists(build.output / ".fonts"));
}

TEST(Build, WrongRequestsSayWhatIsRight) {
  NanoBuild build{fresh_folder("wrong_output"), fresh_folder("wrong_sources"), 128, {"emojy"}};
  try {
    build_nano(build);
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("nearest: \"emoji\""), std::string::npos);
  }
  build.sets = {"emoji"};
  EXPECT_THROW(build_nano(build), UserError) << "no packages there";
  for (const int size : {0, 16, 100, 1024}) {
    build.size = size;
    EXPECT_THROW(build_nano(build), UserError) << size;
  }
}

}  // namespace
}  // namespace i1
