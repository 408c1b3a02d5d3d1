#include "i1/data/nano_scenes.h"

#include <gtest/gtest.h>

#include <set>

#include "i1/core/error.h"
#include "i1/data/nano_fixture.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_split.h"
#include "i1/data/nano_text.h"

namespace i1 {
namespace {

// A hundred and fifty objects in all styles, of which half can be recoloured.
const std::vector<SceneObject>& objects() {
  static const std::vector<SceneObject> kObjects = [] {
    std::vector<SceneObject> made;
    for (int i = 0; i < 150; ++i) {
      const std::string name =
          "thing " + std::string{static_cast<char>('a' + i / 26), static_cast<char>('a' + i % 26)};
      SceneObject object{name, name, name, {kStyles.begin(), kStyles.end()}, {}};
      if (i % 2 == 0)
        for (const Style style : kStyles) object.hues.emplace(style, 0.0);
      made.push_back(object);
    }
    return made;
  }();
  return kObjects;
}

std::string color_of(const PlacedObject& placed) {
  return placed.color < 0 ? "" : kColors[static_cast<size_t>(placed.color)].name;
}

// How many hidden cells a scene shows.
int num_hidden(const Scene& scene) {
  int hidden = 0;
  for (const PlacedObject& placed : scene.objects)
    hidden +=
        placed.color >= 0 && is_object_color_hidden(placed.object->plain_name, color_of(placed));
  if (scene.kind == "count")
    return hidden +
           is_count_hidden(static_cast<int>(scene.objects.size()), scene.objects[0].object->name);
  for (size_t a = 0; a < scene.objects.size(); ++a) {
    for (size_t b = a + 1; b < scene.objects.size(); ++b)
      hidden += is_pair_hidden(scene.objects[a].object->name, scene.objects[b].object->name);
  }
  return hidden;
}

TEST(NanoScenes, TrainingShowsNoHiddenCellAndHeldOutExactlyOne) {
  std::set<std::string> kinds, held_out_kinds;
  for (int64_t i = 0; i < 3000; ++i) {
    const Scene trained = plan_scene(objects(), i, ScenePart::kTrained);
    EXPECT_EQ(num_hidden(trained), 0) << trained.kind << i;
    kinds.insert(trained.kind);
    const Scene hidden = plan_scene(objects(), i, ScenePart::kHeldOut);
    EXPECT_EQ(num_hidden(hidden), 1) << hidden.kind << i;
    held_out_kinds.insert(hidden.kind);
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"single", "color", "count", "pair", "colors", "support",
                                          "three"}));
  EXPECT_EQ(held_out_kinds, (std::set<std::string>{"pair", "count", "color"}));
}

TEST(NanoScenes, APlanFollowsFromItsNumber) {
  for (int64_t i = 0; i < 50; ++i) {
    const Scene first = plan_scene(objects(), i, ScenePart::kTrained);
    const Scene second = plan_scene(objects(), i, ScenePart::kTrained);
    EXPECT_EQ(scene_captions(first), scene_captions(second));
    ASSERT_EQ(first.objects.size(), second.objects.size());
    for (size_t k = 0; k < first.objects.size(); ++k)
      EXPECT_EQ(first.objects[k].box.left, second.objects[k].box.left);
  }
}

TEST(NanoScenes, ObjectsStayInsideAndApart) {
  for (int64_t i = 0; i < 3000; ++i) {
    const Scene scene = plan_scene(objects(), i, ScenePart::kTrained);
    for (size_t a = 0; a < scene.objects.size(); ++a) {
      const Box& box = scene.objects[a].box;
      EXPECT_GE(box.left, 0) << scene.kind;
      EXPECT_GE(box.top, 0) << scene.kind;
      EXPECT_LE(box.left + box.width, 1) << scene.kind;
      EXPECT_LE(box.top + box.height, 1) << scene.kind;
      for (size_t b = a + 1; b < scene.objects.size(); ++b) {
        const Box& other = scene.objects[b].box;
        EXPECT_TRUE(box.left + box.width <= other.left + 1e-9 ||
                    other.left + other.width <= box.left + 1e-9 ||
                    box.top + box.height <= other.top + 1e-9 ||
                    other.top + other.height <= box.top + 1e-9)
            << scene.kind << " " << i;
      }
    }
  }
}

TEST(NanoScenes, RelationsAreTrue) {
  std::set<std::string> seen;
  for (int64_t i = 0; i < 2000; ++i) {
    const Scene scene = plan_scene(objects(), i, ScenePart::kTrained);
    if (scene.relation.empty()) continue;
    seen.insert(scene.relation);
    const Box &first = scene.objects[0].box, &second = scene.objects[1].box;
    if (scene.relation == "left") {
      EXPECT_LT(first.left + first.width, second.left + 1e-9);
    } else if (scene.relation == "right") {
      EXPECT_GT(first.left, second.left + second.width - 1e-9);
    } else if (scene.relation == "above") {
      EXPECT_LT(first.top + first.height, second.top + 1e-9);
    } else {
      EXPECT_GT(first.top, second.top + second.height - 1e-9);
    }
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST(NanoScenes, AColouredObjectIsSeenAgainstItsGround) {
  for (int64_t i = 0; i < 3000; ++i) {
    const Scene scene = plan_scene(objects(), i, ScenePart::kTrained);
    for (const PlacedObject& placed : scene.objects) {
      if (placed.color < 0) continue;
      EXPECT_NE(color_of(placed), scene.ground_name) << i;
      if (scene.support_color >= 0) {
        EXPECT_NE(placed.color, scene.support_color);
      }
    }
  }
}

Scene scene_of(std::string kind, std::vector<PlacedObject> placed) {
  Scene scene;
  scene.kind = std::move(kind);
  scene.objects = std::move(placed);
  return scene;
}

TEST(NanoScenes, CaptionsSayWhatIsThere) {
  const SceneObject apple{"1f34e", "red apple", "apple", {}, {}};
  const SceneObject dog{"1f415", "dog", "dog", {}, {}};
  const int blue = 5, yellow = 2;
  Scene scene = scene_of(
      "count", {{&apple, -1, {}, false}, {&apple, -1, {}, false}, {&apple, -1, {}, false}});
  EXPECT_EQ(scene_captions(scene),
            (std::vector<std::string>{
                "three red apples", "three red apples on a white background, 3D render",
                "3 red apples on a white background", "a 3D render of three red apples"}));

  scene = scene_of("pair", {{&dog, -1, {}, false}, {&apple, -1, {}, false}});
  scene.relation = "left";
  scene.style = Style::kFlat;
  EXPECT_EQ(scene_captions(scene)[0], "a dog to the left of a red apple");
  EXPECT_EQ(scene_captions(scene)[2], "a red apple to the right of a dog on a white background");
  scene.relation = "below";
  EXPECT_EQ(scene_captions(scene)[0], "a dog below a red apple");
  EXPECT_EQ(scene_captions(scene)[2], "a red apple above a dog on a white background");
  scene.relation = "";
  EXPECT_EQ(scene_captions(scene)[0], "a dog and a red apple");

  scene = scene_of("support", {{&apple, yellow, {}, false}});
  scene.support = Support::kPlate;
  scene.support_color = blue;
  EXPECT_EQ(scene_captions(scene)[0], "a yellow apple on a blue plate");
  scene.support = Support::kTable;
  scene.is_below_support = true;
  EXPECT_EQ(scene_captions(scene)[0], "a yellow apple under a blue table");

  scene = scene_of("single", {{&dog, -1, {}, false}});
  scene.ground = Ground::kGrass;
  EXPECT_EQ(scene_captions(scene)[0], "a dog on green grass under a blue sky");
  scene.ground = Ground::kColor;
  scene.ground_name = "orange";
  EXPECT_EQ(scene_captions(scene)[0], "a dog on an orange background");
}

TEST(NanoScenes, ObjectsAreCountableThingsThatStandFree) {
  const auto entry = [](const char* name, const char* group, double version = 1) {
    EmojiConcept made;
    made.name = name;
    made.group = group;
    made.version = version;
    return made;
  };
  for (const char* name : {"penguin", "hot dog", "ear of corn", "t-shirt"})
    EXPECT_TRUE(is_scene_object(entry(name, "objects"))) << name;
  for (const char* name :
       {"scissors", "bread", "sunset", "chart increasing", "bell with slash", "cloud with rain",
        "speaker low volume", "woman's hat", "fork and knife"})
    EXPECT_FALSE(is_scene_object(entry(name, "objects"))) << name;
  EXPECT_FALSE(is_scene_object(entry("stop button", "symbols")));
  EXPECT_TRUE(is_scene_object(entry("red heart", "smileys-emotion")));
  EXPECT_FALSE(is_scene_object(entry("penguin", "objects", 0))) << "only in OpenMoji";
  EmojiConcept toned = entry("baby", "people-body");
  EXPECT_TRUE(is_scene_object(toned));
  toned.tones = {"dark"};
  EXPECT_FALSE(is_scene_object(toned));
  EXPECT_EQ(without_color("red apple"), "apple");
  EXPECT_EQ(without_color("redcurrant"), "redcurrant");
}

TEST(NanoScenes, SetsDrawEveryKindOfScene) {
  const EmojiSources sources(make_nano_sources("scenes"));
  for (const SceneObject& object : find_scene_objects(sources)) {
    const auto hidden = hidden_style(object.code);
    for (const Style style : object.styles) EXPECT_TRUE(!hidden || style != *hidden) << object.name;
  }
  const ScenesSets sets = make_scenes_sets(sources, 60, 10);
  EXPECT_EQ(sets.heldout_scenes.items.size(), 10u);
  for (const NanoItem& item : sets.scenes.items) {
    const Image picture = item.draw(64);
    EXPECT_EQ(picture.width, 64);
    EXPECT_EQ(item.metadata["objects"].size(), item.metadata["count"].get<size_t>());
    bool is_plain = true;  // one colour everywhere
    for (size_t i = 3; i < picture.pixels.size(); ++i)
      is_plain = is_plain && picture.pixels[i] == picture.pixels[i % 3];
    EXPECT_FALSE(is_plain) << item.name;
  }
}

TEST(NanoText, WordsStayOnTheirSideOfTheSplit) {
  const std::vector<std::string> words = {"apple", "moon", "fish", "hello", "world", "cat", "dog"};
  std::set<size_t> num_lines;
  for (int64_t i = 0; i < 1000; ++i) {
    const WrittenText trained = plan_text(words, i, false), hidden = plan_text(words, i, true);
    for (const std::string& line : trained.lines) {
      const bool is_word = line.size() > 2;
      EXPECT_TRUE(!is_word || !is_word_hidden(line)) << line;
    }
    ASSERT_EQ(hidden.lines.size(), 1u);
    EXPECT_TRUE(is_word_hidden(hidden.lines[0])) << hidden.lines[0];
    num_lines.insert(trained.lines.size());
    EXPECT_NE(trained.color, trained.ground);
  }
  EXPECT_EQ(num_lines, (std::set<size_t>{1, 2, 3}));
  EXPECT_THROW(plan_text({"hello"}, 0, true), Failure) << "no hidden word to draw";
}

TEST(NanoText, CaptionsQuoteWhatIsWritten) {
  WrittenText text;
  text.font = {"Lato", "bold", "bold"};
  text.color = 5, text.ground = 11;
  text.lines = {"HELLO"};
  EXPECT_EQ(
      text_captions(text),
      (std::vector<std::string>{"the word \"HELLO\" in blue letters",
                                "the word \"HELLO\" in blue bold letters on a white background",
                                "blue text that says \"HELLO\" on a white background",
                                "the text \"HELLO\", blue on white"}));
  text.lines = {"A"};
  EXPECT_EQ(text_captions(text)[0], "the letter \"A\" in blue letters");
  text.lines = {"42"};
  EXPECT_EQ(text_captions(text)[0], "the number \"42\" in blue letters");
  text.lines = {"big", "dog"};
  EXPECT_EQ(text_captions(text)[0], "the words \"big dog\" in blue letters");
}

TEST(NanoText, FontsMustBeThere) {
  EXPECT_THROW(make_text_sets(make_nano_sources("text_without_fonts"), 10, 2), UserError);
}

}  // namespace
}  // namespace i1
