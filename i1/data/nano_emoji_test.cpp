#include "i1/data/nano_emoji.h"

#include <gtest/gtest.h>

#include <set>

#include "i1/core/error.h"
#include "i1/data/nano_fixture.h"
#include "i1/data/nano_names.h"

namespace i1 {
namespace {

const EmojiSources& sources() {
  static const EmojiSources kSources(make_nano_sources("emoji"));
  return kSources;
}
const EmojiSets& sets() {
  static const EmojiSets kSets = make_emoji_sets(sources());
  return kSets;
}

std::set<std::string> names_of(const NanoSet& set) {
  std::set<std::string> names;
  for (const NanoItem& item : set.items) names.insert(item.name);
  return names;
}

TEST(NanoEmojiTable, ConceptsHaveTonesRolesAndGenders) {
  const EmojiConcept* cook = sources().table.find("1f469-1f3fe-200d-1f373");
  ASSERT_NE(cook, nullptr);
  EXPECT_EQ(cook->label, "woman cook: medium-dark skin tone");
  EXPECT_EQ(cook->name, "woman cook with medium-dark skin");
  EXPECT_EQ(cook->tones, (std::vector<std::string>{"medium-dark"}));
  EXPECT_EQ(cook->role, "cook");
  EXPECT_EQ(cook->gender, "woman");
  EXPECT_EQ(cook->tags, (std::vector<std::string>{"useful"})) << "no digits, no colours";
  const EmojiConcept* neutral = sources().table.find("1f9d1-200d-1f373");
  ASSERT_NE(neutral, nullptr);
  EXPECT_EQ(neutral->gender, "person");
  EXPECT_TRUE(neutral->tones.empty());
  const EmojiConcept* penguin = sources().table.find("1f427");
  ASSERT_NE(penguin, nullptr);
  EXPECT_EQ(penguin->role, "") << "only people with enough cells have a role";
  EXPECT_EQ(penguin->group, "animals-nature");
  EXPECT_EQ(sources().table.find("abcdef"), nullptr);
}

TEST(NanoEmojiTable, DamagedPackagesAreNamed) {
  const auto folder = make_nano_sources("emoji_damaged");
  put_file(folder / "emojibase-data/en/data.json", "[{\"label\": 7}]");
  EXPECT_THROW(EmojiTable table(folder), UserError);
  put_file(folder / "emojibase-data/en/data.json", "[{");
  EXPECT_THROW(EmojiTable table(folder), UserError);
  EXPECT_THROW(EmojiTable table(fresh_folder("emoji_none")), UserError);
}

TEST(NanoEmojiPictures, EveryPackageDraws) {
  for (const Style style : kStyles) {
    for (const char* code : {"1f427", "1f1f0-1f1ea"}) {
      ASSERT_TRUE(sources().pictures.has(style, code)) << style_name(style) << code;
      const Image sprite = sources().pictures.load(style, code, 48);
      EXPECT_EQ(sprite.width, 48);
      EXPECT_EQ(sprite.height, 48);
      EXPECT_EQ(sprite.row(24)[24 * 4 + 3], 255) << style_name(style) << " " << code;
    }
  }
  EXPECT_FALSE(sources().pictures.has_all_styles("e000"));
  EXPECT_THROW(sources().pictures.load(Style::kFlat, "e000", 48), UserError);
}

TEST(NanoEmojiPictures, MissingOrForeignPackagesAreNamed) {
  const auto folder = make_nano_sources("emoji_pictures_damaged");
  put_file(folder / "@iconify-json/noto/icons.json", "{\"icons\": 3}");
  EXPECT_THROW(EmojiPictures pictures(folder), UserError);
  EXPECT_THROW(EmojiPictures pictures(fresh_folder("emoji_pictures_none")), UserError);
}

TEST(NanoEmoji, CaptionsNameStyleAlwaysInTheSamePhrase) {
  const EmojiConcept& penguin = *sources().table.find("1f427");
  EXPECT_EQ(emoji_captions(sources(), penguin, Style::k3d),
            (std::vector<std::string>{"penguin", "a 3D render of a penguin", "penguin, 3D render",
                                      "a 3D render of a penguin, useful",
                                      "a penguin: short-legged flightless birds"}));
  EXPECT_EQ(emoji_captions(sources(), penguin, Style::kOutline)[1],
            "a drawing of a penguin with thick black outlines");
  EXPECT_EQ(emoji_captions(sources(), penguin, Style::kCartoon)[1],
            "a shaded cartoon of a penguin");
  EXPECT_EQ(emoji_captions(sources(), penguin, Style::kFlat)[1], "a flat icon of a penguin");
}

TEST(NanoEmoji, ScoredConceptsAreOldEnoughAndDrawnFourTimes) {
  EXPECT_TRUE(is_scored(sources(), *sources().table.find("1f427")));
  EXPECT_FALSE(is_scored(sources(), *sources().table.find("1fae8"))) << "Emoji 15";
  EXPECT_FALSE(is_scored(sources(), *sources().table.find("e000"))) << "one style only";
}

TEST(NanoEmoji, EveryDrawingIsInExactlyOnePart) {
  const auto emoji = names_of(sets().emoji), tones = names_of(sets().tones);
  const auto grid = names_of(sets().heldout_grid), style = names_of(sets().heldout_style);
  std::set<std::string> all;
  for (const auto* part : {&emoji, &tones, &grid, &style}) {
    for (const std::string& name : *part)
      EXPECT_TRUE(all.insert(name).second) << name << " is in two sets";
  }
  // 3 x 6 cooks, 4 more of Emoji 14 or older and 150 animals, and one younger, in four styles.
  EXPECT_EQ(sets().truth.items.size(), 4u * (18 + 4 + 150));
  EXPECT_EQ(all.size(), 4u * (18 + 5 + 150));
  for (const NanoItem& item : sets().truth.items) EXPECT_TRUE(all.contains(item.name)) << item.name;
  EXPECT_FALSE(style.empty());
}

TEST(NanoEmoji, HiddenCellsAreThoseOfTheSplit) {
  for (const NanoItem& item : sets().heldout_style.items) {
    const auto hidden = hidden_style(item.metadata["code"].get<std::string>());
    ASSERT_TRUE(hidden.has_value());
    EXPECT_EQ(item.metadata["style"], style_name(*hidden));
    EXPECT_TRUE(item.metadata["tones"].empty());
    EXPECT_EQ(item.metadata["held_out"], "style");
  }
  for (const NanoSet* set : {&sets().emoji, &sets().tones}) {
    for (const NanoItem& item : set->items) {
      const std::string code = item.metadata["code"], style = item.metadata["style"];
      if (!item.metadata["is_scored"].get<bool>()) continue;
      if (item.metadata["tones"].empty()) {
        const auto hidden = hidden_style(code);
        EXPECT_TRUE(!hidden || style != style_name(*hidden)) << item.name;
      } else {
        for (const Style each : kStyles) {
          if (style != style_name(each)) continue;
          EXPECT_FALSE(is_grid_cell_hidden(item.metadata["role"].get<std::string>(),
                                           item.metadata["gender"].get<std::string>(),
                                           item.metadata["tones"][0].get<std::string>(), each));
        }
      }
    }
  }
}

TEST(NanoEmoji, WhatIsLeftOutIsCounted) {
  const auto& left_out = sets().emoji.left_out;
  EXPECT_EQ(left_out.at("no name"), 1);
  EXPECT_EQ(left_out.at("trademark, gesture or real person"), 1);
  EXPECT_EQ(left_out.at("held out"), static_cast<int64_t>(sets().heldout_grid.items.size() +
                                                          sets().heldout_style.items.size()));
  EXPECT_EQ(left_out.at("skin tone, moved to emoji_tones"),
            static_cast<int64_t>(sets().tones.items.size()));
}

TEST(NanoEmoji, PicturesStandOnWhite) {
  for (const NanoItem& item : sets().emoji.items) {
    if (item.metadata["code"] != "1f427" || item.metadata["style"] == "3d") continue;
    const Image picture = item.draw(64);
    EXPECT_EQ(picture.channels, 3);
    EXPECT_EQ(picture.row(0)[0], 255);
    EXPECT_NE(picture.row(32)[32 * 3 + 1], 255) << item.name;
  }
}

}  // namespace
}  // namespace i1
