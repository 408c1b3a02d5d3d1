// The real packages, where they have been fetched: I1_NANO_SOURCES names the folder that
// tools/fetch_nano_data.sh filled. The counts are those of the pinned versions; the tests exist
// only where that variable is set.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "i1/data/nano_clipart.h"
#include "i1/data/nano_emoji.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_scenes.h"
#include "i1/data/nano_shapes.h"
#include "i1/data/nano_words.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

const fs::path& folder() {
  static const fs::path kFolder = std::getenv("I1_NANO_SOURCES");
  return kFolder;
}
const EmojiSources& sources() {
  static const EmojiSources kSources(folder());
  return kSources;
}
const EmojiSets& emoji() {
  static const EmojiSets kSets = make_emoji_sets(sources());
  return kSets;
}

void counts_are_those_of_the_pinned_versions() {
  int64_t num_scored = 0, num_toneless = 0, num_named_3d = 0;
  std::set<std::string> roles;
  for (const EmojiConcept& entry : sources().table.concepts()) {
    num_named_3d += entry.version > 0 && entry.version <= kScoredEmojiVersion &&
                    sources().pictures.has(Style::k3d, entry.code);
    if (!is_scored(sources(), entry)) continue;
    ++num_scored;
    num_toneless += entry.tones.empty();
    if (!entry.role.empty()) roles.insert(entry.role);
  }
  EXPECT_EQ(num_named_3d, 3341);
  EXPECT_EQ(num_scored, 3341);
  EXPECT_EQ(num_toneless, 1831);
  EXPECT_EQ(roles.size(), 64u);
  EXPECT_EQ(emoji().truth.items.size(), 4u * 3341);
  EXPECT_EQ(sources().pictures.codes(Style::k3d).size(), 3375u);
  EXPECT_EQ(sources().pictures.codes(Style::kOutline).size(), 4495u);
}

void a_fifth_of_emoji_has_skin_tones() {
  int64_t num_toned = 0;
  for (const NanoItem& item : emoji().emoji.items) num_toned += !item.metadata["tones"].empty();
  const auto total = static_cast<double>(emoji().emoji.items.size());
  EXPECT_NEAR(static_cast<double>(num_toned) / total, 0.2, 0.02);
}

// Hidden cells can be inferred: every factor of the grid and every style stays seen.
void every_factor_of_the_grid_stays_seen() {
  std::set<std::string> seen, all;
  const auto collect = [](const NanoSet& set, std::set<std::string>& factors) {
    for (const NanoItem& item : set.items) {
      const auto& data = item.metadata;
      if (data["role"] == "" || data["tones"].size() != 1) continue;
      const std::string role = data["role"], gender = data["gender"], style = data["style"];
      const std::string tone = data["tones"][0];
      for (const std::string& factor : {role + "/" + style, role + "/" + gender, role + "/" + tone,
                                        gender + "/" + tone + "/" + style})
        factors.insert(factor);
    }
  };
  collect(emoji().emoji, seen);
  collect(emoji().tones, seen);
  collect(emoji().truth, all);
  EXPECT_EQ(seen, all);
}

void no_hidden_drawing_is_in_a_scene() {
  std::set<std::string> hidden;
  for (const NanoItem& item : emoji().heldout_style.items) hidden.insert(item.name);
  EXPECT_NEAR(static_cast<double>(hidden.size()), 183, 60);
  const ScenesSets sets = make_scenes_sets(sources(), 20000, 500);
  for (const NanoSet* set : {&sets.scenes, &sets.heldout_scenes}) {
    for (const NanoItem& item : set->items) {
      for (const auto& object : item.metadata["objects"]) {
        const std::string name =
            item.metadata["style"].get<std::string>() + "/" + object["code"].get<std::string>();
        EXPECT_FALSE(hidden.contains(name)) << name;
      }
      for (const std::string& caption : item.captions)
        EXPECT_LE(count_words(caption), 40) << caption;
    }
  }
}

void captions_are_short() {
  const ShapesSets shapes = make_shapes_sets(folder());
  const NanoSet clipart = make_clipart_set(folder()), stamps = make_stamps_set(folder());
  for (const NanoSet* set : {&emoji().emoji, &emoji().tones, &shapes.shapes, &clipart, &stamps}) {
    for (const NanoItem& item : set->items) {
      EXPECT_FALSE(item.captions.empty()) << item.name;
      for (const std::string& caption : item.captions) {
        EXPECT_FALSE(caption.empty()) << item.name;
        EXPECT_LE(count_words(caption), 45) << caption;
      }
    }
  }
  EXPECT_NEAR(static_cast<double>(clipart.items.size()), 2714, 100);
  EXPECT_NEAR(static_cast<double>(stamps.items.size()), 960, 50);
  EXPECT_EQ(shapes.shapes.items.size(), 5u * 4012);
  EXPECT_GE(read_common_words(folder(), 9, 25).size(), 3000u);
}

class NanoSources : public testing::Test {
 public:
  explicit NanoSources(void (*body)()) : body_(body) {}
  void TestBody() override { body_(); }

 private:
  void (*body_)();
};

[[maybe_unused]] const bool kRegistered = [] {
  if (std::getenv("I1_NANO_SOURCES") == nullptr) return false;
  const auto add = [](const char* name, void (*body)()) {
    testing::RegisterTest("NanoSources", name, nullptr, nullptr, __FILE__, __LINE__,
                          [body]() -> NanoSources* { return new NanoSources(body); });
  };
  add("CountsAreThoseOfThePinnedVersions", counts_are_those_of_the_pinned_versions);
  add("AFifthOfEmojiHasSkinTones", a_fifth_of_emoji_has_skin_tones);
  add("EveryFactorOfTheGridStaysSeen", every_factor_of_the_grid_stays_seen);
  add("NoHiddenDrawingIsInAScene", no_hidden_drawing_is_in_a_scene);
  add("CaptionsAreShort", captions_are_short);
  return true;
}();

}  // namespace
}  // namespace i1
