#include "i1/data/nano_split.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "i1/data/nano_key.h"

namespace i1 {
namespace {

// Values from an independent implementation of the two published functions.
TEST(NanoKey, HashIsFnvThenMurmurFinaliser) {
  EXPECT_EQ(key_hash(""), 0xefd01f60ba992926u);
  EXPECT_EQ(key_hash("a"), 0x82a2a958a9bece5bu);
  EXPECT_EQ(key_hash("grid/astronaut/woman/dark/3d"), 0xc3afea26ac28388fu);
  EXPECT_EQ(key_hash("word/hello"), 0xbb7765afff86da4bu);
  EXPECT_NEAR(key_share("word/hello"), 0.7322906069453227, 1e-15);
}

TEST(NanoKey, DrawsAreSplitMix64FromTheHash) {
  KeyDraws draws("scene/0");
  EXPECT_EQ(draws.bits(), 0xe30412e8f1d456f2u);
  EXPECT_EQ(draws.bits(), 0x236dfd08a9c53f58u);
  EXPECT_EQ(draws.bits(), 0xe67255063f31e4c8u);
}

TEST(NanoKey, DrawsStayInsideTheirRange) {
  KeyDraws draws("range");
  std::map<int64_t, int> seen;
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double value = draws.uniform(-1, 3);
    ASSERT_GE(value, -1);
    ASSERT_LT(value, 3);
    sum += value;
    ++seen[draws.index(5)];
  }
  EXPECT_NEAR(sum / 10000, 1, 0.06);  // five standard errors of a uniform of width 4
  ASSERT_EQ(seen.size(), 5u);
  for (const auto& [value, count] : seen) EXPECT_NEAR(count, 2000, 200) << value;
  EXPECT_EQ(seen.begin()->first, 0);
}

TEST(NanoKey, ShufflePermutesAndDependsOnTheKeyAlone) {
  std::vector<int> first = {1, 2, 3, 4, 5, 6, 7, 8}, second = first;
  KeyDraws("a").shuffle(first);
  KeyDraws("a").shuffle(second);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, (std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(std::set<int>(first.begin(), first.end()).size(), 8u);
}

// A change of any of these moves the boundary between training and test on every machine.
TEST(NanoSplit, CellsAreThoseOfTheFirstRelease) {
  EXPECT_EQ(hidden_style("1f9c0"), Style::kCartoon);
  EXPECT_EQ(hidden_style("1f3e0"), Style::kOutline);
  EXPECT_EQ(hidden_style("1f400"), Style::k3d);
  EXPECT_EQ(hidden_style("1f41f"), Style::kFlat);
  EXPECT_EQ(hidden_style("1f427"), std::nullopt);
  EXPECT_TRUE(is_shape_color_hidden("apple", "red"));
  EXPECT_TRUE(is_shape_color_hidden("crab claw", "blue"));
  EXPECT_FALSE(is_shape_color_hidden("crab claw", "green"));
  EXPECT_TRUE(is_word_hidden("apple"));
  EXPECT_FALSE(is_word_hidden("hello"));
  EXPECT_FALSE(is_grid_cell_hidden("astronaut", "woman", "dark", Style::k3d));
}

TEST(NanoSplit, ATenthIsHidden) {
  int grid = 0, styles = 0, pairs = 0, counts = 0, colors = 0, words = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string key = std::to_string(i);
    grid += is_grid_cell_hidden(key, "man", "light", Style::kFlat);
    styles += hidden_style(key).has_value();
    pairs += is_pair_hidden(key, "dog");
    counts += is_count_hidden(3, key);
    colors += is_object_color_hidden(key, "red");
    words += is_word_hidden(key);
  }
  for (const int hidden : {grid, styles, pairs, counts, colors, words})
    EXPECT_NEAR(hidden, 1000, 150) << "five standard deviations of a tenth of 10,000";
}

TEST(NanoSplit, EveryStyleIsHiddenOfSomeConcept) {
  std::map<Style, int> hidden;
  for (int i = 0; i < 4000; ++i) {
    if (const auto style = hidden_style(std::to_string(i))) ++hidden[*style];
  }
  ASSERT_EQ(hidden.size(), 4u);
  for (const auto& [style, count] : hidden) EXPECT_NEAR(count, 100, 50) << style_name(style);
}

TEST(NanoSplit, APairHasNoOrderAndAWordNoCase) {
  for (int i = 0; i < 100; ++i) {
    const std::string other = std::to_string(i);
    EXPECT_EQ(is_pair_hidden("cat", other), is_pair_hidden(other, "cat"));
    EXPECT_EQ(is_word_hidden("w" + other), is_word_hidden("W" + other));
  }
}

}  // namespace
}  // namespace i1
