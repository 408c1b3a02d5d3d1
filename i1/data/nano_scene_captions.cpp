#include <array>

#include "i1/data/nano_names.h"
#include "i1/data/nano_scenes.h"

namespace i1 {
namespace {

std::string color_name(int color) { return kColors[static_cast<size_t>(color)].name; }

std::string bare_name(const PlacedObject& placed) {
  return placed.color < 0 ? placed.object->name
                          : color_name(placed.color) + " " + placed.object->plain_name;
}

std::string phrase(const PlacedObject& placed) { return with_article(bare_name(placed)); }

std::string number_word(size_t count) {
  constexpr std::array<const char*, 7> kWords = {"no",   "one",  "two", "three",
                                                 "four", "five", "six"};
  return kWords[count];
}

std::string ground_phrase(const Scene& scene) {
  switch (scene.ground) {
    case Ground::kWhite:
      return " on a white background";
    case Ground::kColor:
      return " on " + with_article(scene.ground_name + " background");
    case Ground::kGrass:
      return " on green grass under a blue sky";
    case Ground::kSnow:
      return " in the snow";
    case Ground::kBeach:
      return " on a beach by the sea";
    case Ground::kNight:
      break;
  }
  return " at night under the stars";
}

std::string support_phrase(const Scene& scene) {
  constexpr std::array<const char*, 5> kNames = {"", "plate", "table", "box", "carpet"};
  const std::string name = kNames[static_cast<size_t>(scene.support)];
  return (scene.is_below_support ? " under " : " on ") +
         with_article(color_name(scene.support_color) + " " + name);
}

std::string relation_phrase(const std::string& relation) {
  if (relation == "left") return " to the left of ";
  if (relation == "right") return " to the right of ";
  return " " + relation + " ";
}

std::string opposite(const std::string& relation) {
  if (relation == "left") return "right";
  if (relation == "right") return "left";
  return relation == "above" ? "below" : "above";
}

// What is seen, without ground and style; `other_way` says the same differently where it can.
std::string subject(const Scene& scene, bool other_way) {
  const auto& objects = scene.objects;
  if (scene.kind == "count") {
    const std::string number =
        other_way ? std::to_string(objects.size()) : number_word(objects.size());
    return number + " " + plural(objects[0].object->name);
  }
  if (objects.size() == 2 && !scene.relation.empty()) {
    return other_way
               ? phrase(objects[1]) + relation_phrase(opposite(scene.relation)) + phrase(objects[0])
               : phrase(objects[0]) + relation_phrase(scene.relation) + phrase(objects[1]);
  }
  std::vector<std::string> phrases;
  for (const PlacedObject& placed : objects) phrases.push_back(phrase(placed));
  if (other_way && phrases.size() == 2) std::swap(phrases[0], phrases[1]);
  return join_and(phrases) + (scene.support == Support::kNone ? "" : support_phrase(scene));
}

}  // namespace

std::vector<std::string> scene_captions(const Scene& scene) {
  const std::string first = subject(scene, false), second = subject(scene, true);
  const std::string ground = ground_phrase(scene);
  const std::string style = std::string(", ") + style_suffix(scene.style);
  // Of a single thing on a ground nobody leaves the ground out, else `emoji` says it already.
  const bool is_ground_told = scene.objects.size() == 1 && scene.support == Support::kNone &&
                              scene.ground != Ground::kWhite;
  std::vector<std::string> captions = {first + (is_ground_told ? ground : ""),
                                       first + ground + style};
  if (second != first) captions.push_back(second + ground);
  if (!is_ground_told && second == first) captions.push_back(first + ground);
  captions.push_back(styled(scene.style, first) + (scene.ground == Ground::kWhite ? "" : ground));
  return captions;
}

}  // namespace i1
