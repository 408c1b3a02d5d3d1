#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>

#include "i1/core/error.h"
#include "i1/data/nano_key.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_scenes.h"
#include "i1/data/nano_split.h"

namespace i1 {
namespace {

using Objects = std::vector<SceneObject>;

struct Kind {
  const char* name;
  double share;
};
constexpr std::array<Kind, 7> kKinds = {{{"single", 0.18},
                                         {"color", 0.16},
                                         {"count", 0.18},
                                         {"pair", 0.20},
                                         {"colors", 0.08},
                                         {"support", 0.14},
                                         {"three", 0.06}}};
constexpr std::array<Kind, 3> kHeldOutKinds = {{{"pair", 0.34}, {"count", 0.33}, {"color", 0.33}}};

constexpr int kMaxCount = 6;
constexpr int kMaxTries = 4000;

std::string draw_kind(KeyDraws& draws, std::span<const Kind> kinds) {
  double left = draws.uniform();
  for (const Kind& kind : kinds) {
    if (left < kind.share) return kind.name;
    left -= kind.share;
  }
  return kinds.back().name;
}

bool is_in(const SceneObject& object, Style style) {
  return std::find(object.styles.begin(), object.styles.end(), style) != object.styles.end();
}

// A box of side `size` around a middle.
Box around(double x, double y, double size) { return {x - size / 2, y - size / 2, size, size}; }

int draw_color(KeyDraws& draws) { return static_cast<int>(draws.index(std::ssize(kColors))); }

void draw_ground(Scene& scene, KeyDraws& draws, bool may_be_scenery) {
  const double what = draws.uniform();
  if (what < 0.3) {
    scene.ground = Ground::kWhite;
    scene.ground_color = kWhite;
    scene.ground_name = "white";
    return;
  }
  if (may_be_scenery && what > 0.8) {
    constexpr std::array<Ground, 4> kScenery = {Ground::kGrass, Ground::kSnow, Ground::kBeach,
                                                Ground::kNight};
    scene.ground = kScenery[static_cast<size_t>(draws.index(4))];
    return;
  }
  // A named colour, more or less strong; grey, white and black keep theirs.
  NamedColor color = kColors[static_cast<size_t>(draw_color(draws))];
  while (scene.style == Style::kOutline && std::string_view(color.name) == "black")
    color = kColors[static_cast<size_t>(draw_color(draws))];  // outlines would vanish
  const bool is_hue = color.color.red != color.color.green || color.color.red != color.color.blue;
  const double light =
      is_hue && std::string_view(color.name) != "black" && std::string_view(color.name) != "gray"
          ? draws.uniform(0, 0.4)
          : 0.0;
  const auto mixed = [&](uint8_t channel) {
    return static_cast<uint8_t>(std::lround(channel + (255 - channel) * light));
  };
  scene.ground = color.color == kWhite ? Ground::kWhite : Ground::kColor;
  scene.ground_name = color.name;
  scene.ground_color = {mixed(color.color.red), mixed(color.color.green), mixed(color.color.blue)};
}

const SceneObject* draw_object(const Objects& objects, Style style, KeyDraws& draws) {
  for (int i = 0; i < kMaxTries; ++i) {
    const SceneObject& object = draws.pick(objects);
    if (is_in(object, style)) return &object;
  }
  throw Failure("scenes: no object in a style");
}

// Seen against the ground, and not what a plate, table, ... beneath it is.
bool stands_out(const Scene& scene, const std::string& color) {
  return color != scene.ground_name && !(color == "black" && scene.ground == Ground::kNight) &&
         !(color == "white" && scene.ground == Ground::kSnow) &&
         !(scene.support_color >= 0 &&
           color == kColors[static_cast<size_t>(scene.support_color)].name);
}

// An object that can be recoloured, and a colour for it, hidden or not as asked.
PlacedObject draw_colored(const Objects& objects, const Scene& scene, KeyDraws& draws,
                          bool hidden) {
  const Style style = scene.style;
  for (int i = 0; i < kMaxTries; ++i) {
    const SceneObject& object = draws.pick(objects);
    const int color = draw_color(draws);
    const std::string name = kColors[static_cast<size_t>(color)].name;
    if (object.hues.contains(style) && stands_out(scene, name) &&
        is_object_color_hidden(object.plain_name, name) == hidden) {
      return {&object, color, {}, false};
    }
  }
  throw Failure("scenes: no object that can be recoloured");
}

// Places `count` equal objects in rows without overlap: 1-3 in one row or staggered, 4-6 in two.
void place_count(Scene& scene, const SceneObject* object, int count, KeyDraws& draws) {
  const int num_rows = count <= 2 ? 1 : count == 3 ? 1 + static_cast<int>(draws.index(2)) : 2;
  int placed = 0;
  for (int row = 0; row < num_rows; ++row) {
    const int in_row = num_rows == 1 ? count : row == 0 ? count / 2 : count - count / 2;
    const double cell = 1.0 / std::max(in_row, num_rows), size = cell * draws.uniform(0.72, 0.88);
    for (int i = 0; i < in_row; ++i, ++placed) {
      const double room = (cell - size) / 2;
      const double x = (i + 0.5) / in_row + draws.uniform(-room, room) * 0.6;
      const double y = (row + 0.5) / num_rows + draws.uniform(-room, room) * 0.6;
      scene.objects.push_back({object, -1, around(x, y, size), false});
    }
  }
}

void plan_pair(Scene& scene, const Objects& objects, KeyDraws& draws, bool hidden) {
  for (int i = 0; i < kMaxTries; ++i) {
    const SceneObject *first = draw_object(objects, scene.style, draws),
                      *second = draw_object(objects, scene.style, draws);
    if (first->name == second->name || is_pair_hidden(first->name, second->name) != hidden)
      continue;
    constexpr std::array<const char*, 5> kRelations = {"left", "right", "above", "below", ""};
    scene.relation = kRelations[static_cast<size_t>(draws.index(5))];
    const double size = draws.uniform(0.36, 0.46), shift = draws.uniform(-0.1, 0.1);
    const double near = 0.26, far = 0.74, middle = 0.5 + shift;
    const bool is_vertical = scene.relation == "above" || scene.relation == "below";
    const bool is_first_near = scene.relation != "right" && scene.relation != "below";
    const double a = is_first_near ? near : far, b = is_first_near ? far : near;
    scene.objects.push_back(
        {first, -1, is_vertical ? around(middle, a, size) : around(a, middle, size), false});
    scene.objects.push_back(
        {second, -1, is_vertical ? around(middle, b, size) : around(b, middle, size), false});
    return;
  }
  throw Failure("scenes: no pair of objects");
}

void plan_colors(Scene& scene, const Objects& objects, KeyDraws& draws) {
  for (int i = 0; i < kMaxTries; ++i) {
    PlacedObject first = draw_colored(objects, scene, draws, false),
                 second = draw_colored(objects, scene, draws, false);
    if (first.object->plain_name == second.object->plain_name || first.color == second.color ||
        is_pair_hidden(first.object->name, second.object->name))
      continue;
    scene.relation = draws.chance(0.5) ? "left" : "";
    const double size = draws.uniform(0.36, 0.46), middle = 0.5 + draws.uniform(-0.1, 0.1);
    first.box = around(0.26, middle, size);
    second.box = around(0.74, middle, size);
    scene.objects = {first, second};
    return;
  }
  throw Failure("scenes: no pair of colours");
}

void plan_three(Scene& scene, const Objects& objects, KeyDraws& draws) {
  for (int i = 0; i < kMaxTries; ++i) {
    std::array<const SceneObject*, 3> chosen{};
    for (auto& object : chosen) object = draw_object(objects, scene.style, draws);
    bool is_good = true;
    for (size_t a = 0; a < 3; ++a) {
      for (size_t b = a + 1; b < 3; ++b) {
        is_good = is_good && chosen[a]->name != chosen[b]->name &&
                  !is_pair_hidden(chosen[a]->name, chosen[b]->name);
      }
    }
    if (!is_good) continue;
    const double size = draws.uniform(0.27, 0.31), middle = 0.5 + draws.uniform(-0.15, 0.15);
    for (int k = 0; k < 3; ++k)
      scene.objects.push_back(
          {chosen[static_cast<size_t>(k)], -1, around((k + 0.5) / 3, middle, size), false});
    return;
  }
  throw Failure("scenes: no three objects");
}

void plan_support(Scene& scene, const Objects& objects, KeyDraws& draws) {
  constexpr std::array<Support, 4> kSupports = {Support::kPlate, Support::kTable, Support::kBox,
                                                Support::kCarpet};
  scene.support = kSupports[static_cast<size_t>(draws.index(4))];
  do {
    scene.support_color = draw_color(draws);
  } while (kColors[static_cast<size_t>(scene.support_color)].name == scene.ground_name);
  PlacedObject placed = draws.chance(0.5)
                            ? draw_colored(objects, scene, draws, false)
                            : PlacedObject{draw_object(objects, scene.style, draws), -1, {}, false};
  scene.is_below_support = scene.support == Support::kTable && draws.chance(0.25);
  const double size = draws.uniform(0.38, 0.48);
  switch (scene.support) {  // the lower edge of the object, where the support carries it
    case Support::kPlate:
      placed.box = {0.5 - size / 2, 0.74 - size, size, size};
      break;
    case Support::kCarpet:
      placed.box = {0.5 - size / 2, 0.80 - size, size, size};
      break;
    case Support::kBox:
      placed.box = {0.5 - size / 2, 0.57 - size, size, size};
      break;
    default:
      placed.box = scene.is_below_support
                       ? Box{0.5 - size * 0.4, 0.94 - size * 0.8, size * 0.8, size * 0.8}
                       : Box{0.5 - size / 2, 0.56 - size, size, size};
  }
  scene.objects = {placed};
}

}  // namespace

Scene plan_scene(const std::vector<SceneObject>& objects, int64_t index, ScenePart part) {
  const bool hidden = part == ScenePart::kHeldOut;
  KeyDraws draws(concat(hidden ? "heldout_scene/" : "scene/", index));
  Scene scene;
  scene.kind = hidden ? draw_kind(draws, kHeldOutKinds) : draw_kind(draws, kKinds);
  scene.style = kStyles[static_cast<size_t>(draws.index(4))];
  draw_ground(scene, draws, scene.kind == "single" || scene.kind == "color");
  // On scenery an object stands on the ground, elsewhere it floats about the middle.
  const bool stands = scene.ground != Ground::kWhite && scene.ground != Ground::kColor;
  const double size = stands ? draws.uniform(0.42, 0.6) : draws.uniform(0.55, 0.82);
  const double room = std::max(0.0, (0.94 - size) / 2);
  const Box single = {
      0.5 - size / 2 + draws.uniform(-room, room) * 0.7,
      stands ? draws.uniform(0.78, 0.88) - size : 0.5 - size / 2 + draws.uniform(-room, room) * 0.7,
      size, size};
  if (scene.kind == "pair") {
    plan_pair(scene, objects, draws, hidden);
  } else if (scene.kind == "count") {
    for (int i = 0; i < kMaxTries && scene.objects.empty(); ++i) {
      const SceneObject* object = draw_object(objects, scene.style, draws);
      const int count = 2 + static_cast<int>(draws.index(kMaxCount - 1));
      if (is_count_hidden(count, object->name) == hidden) place_count(scene, object, count, draws);
    }
  } else if (scene.kind == "colors") {
    plan_colors(scene, objects, draws);
  } else if (scene.kind == "three") {
    plan_three(scene, objects, draws);
  } else if (scene.kind == "support") {
    plan_support(scene, objects, draws);
  } else {
    scene.objects = {scene.kind == "color"
                         ? draw_colored(objects, scene, draws, hidden)
                         : PlacedObject{draw_object(objects, scene.style, draws), -1, {}, false}};
    scene.objects[0].box = single;
  }
  if (scene.kind != "count") {
    for (PlacedObject& placed : scene.objects) placed.is_mirrored = draws.chance(0.3);
  }
  return scene;
}

}  // namespace i1
