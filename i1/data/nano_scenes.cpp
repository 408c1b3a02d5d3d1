#include "i1/data/nano_scenes.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "i1/core/error.h"
#include "i1/data/nano_key.h"

namespace i1 {
namespace {

constexpr double kTrimRoom = 1.4;  // drawings have margins of their own, which are cut away

Color mixed(Color color, Color other, double share) {
  const auto channel = [&](uint8_t a, uint8_t b) {
    return static_cast<uint8_t>(std::lround(a + (b - a) * share));
  };
  return {channel(color.red, other.red), channel(color.green, other.green),
          channel(color.blue, other.blue)};
}

std::string rectangle(double x, double y, double width, double height, Color color) {
  return concat("<rect x=\"", x, "\" y=\"", y, "\" width=\"", width, "\" height=\"", height,
                "\" fill=\"", to_hex(color), "\"/>");
}

std::string ellipse(double x, double y, double rx, double ry, Color color) {
  return concat("<ellipse cx=\"", x, "\" cy=\"", y, "\" rx=\"", rx, "\" ry=\"", ry, "\" fill=\"",
                to_hex(color), "\"/>");
}

std::string polygon(const std::string& points, Color color) {
  return concat("<polygon points=\"", points, "\" fill=\"", to_hex(color), "\"/>");
}

// In a view box of 100 x 100.
std::string scenery_svg(Ground ground) {
  switch (ground) {
    case Ground::kGrass:
      return rectangle(0, 0, 100, 70, {150, 208, 250}) + rectangle(0, 66, 100, 34, {104, 184, 76});
    case Ground::kSnow:
      return rectangle(0, 0, 100, 70, {186, 212, 232}) + rectangle(0, 66, 100, 34, {248, 251, 255});
    case Ground::kBeach:
      return rectangle(0, 0, 100, 50, {165, 216, 252}) + rectangle(0, 46, 100, 24, {40, 128, 196}) +
             rectangle(0, 66, 100, 34, {240, 216, 160});
    case Ground::kNight: {
      std::string svg =
          rectangle(0, 0, 100, 80, {20, 26, 64}) + rectangle(0, 72, 100, 28, {36, 52, 46});
      KeyDraws draws("stars");
      for (int i = 0; i < 24; ++i) {
        const double x = draws.uniform(2, 98), y = draws.uniform(2, 62);
        svg += ellipse(x, y, 0.8, 0.8, {255, 250, 214});
      }
      return svg;
    }
    default:
      return "";
  }
}

std::string support_svg(Support support, Color color) {
  constexpr Color kDark = {0, 0, 0};
  const Color light = mixed(color, kWhite, 0.25), shade = mixed(color, kDark, 0.18),
              deep = mixed(color, kDark, 0.35);
  switch (support) {
    case Support::kPlate:
      return ellipse(50, 75.5, 40, 15, deep) + ellipse(50, 73, 40, 15, color) +
             ellipse(50, 73.5, 28, 9.5, shade) + ellipse(50, 74.2, 27, 8.8, light);
    case Support::kTable:
      return rectangle(15, 60, 6, 36, deep) + rectangle(79, 60, 6, 36, deep) +
             polygon("16,50 84,50 94,60 6,60", color) + rectangle(6, 60, 88, 5, shade);
    case Support::kBox:
      return polygon("22,60 30,52 78,52 70,60", light) + polygon("70,60 78,52 78,88 70,96", deep) +
             rectangle(22, 60, 48, 36, color);
    case Support::kCarpet:
      return polygon("22,62 78,62 96,90 4,90", deep) + polygon("24,63.5 76,63.5 92,88 8,88", color);
    case Support::kNone:
      break;
  }
  return "";
}

Image mirrored(const Image& sprite) {
  Image flipped = sprite;
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = 0; x < sprite.width; ++x)
      std::copy_n(sprite.row(y) + x * 4, 4, flipped.row(y) + (sprite.width - 1 - x) * 4);
  }
  return flipped;
}

void draw_object(const EmojiSources& sources, Style style, const PlacedObject& placed,
                 Image& picture) {
  const int size = picture.width;
  const auto pixels = [&](double share) { return static_cast<int>(std::lround(share * size)); };
  const int width = pixels(placed.box.width), height = pixels(placed.box.height);
  const int source_size = static_cast<int>(std::lround(std::max(width, height) * kTrimRoom));
  Image sprite = trim(sources.pictures.load(style, placed.object->code, source_size));
  if (placed.color >= 0)
    sprite = recolor(sprite, placed.object->hues.at(style),
                     kColors[static_cast<size_t>(placed.color)].color);
  if (placed.is_mirrored) sprite = mirrored(sprite);
  sprite = fit_sprite(sprite, width, height);
  place(picture, sprite, pixels(placed.box.left) + (width - sprite.width) / 2,
        pixels(placed.box.top) + height - sprite.height);
}

nlohmann::ordered_json metadata_of(const Scene& scene, ScenePart part) {
  nlohmann::ordered_json objects = nlohmann::ordered_json::array();
  for (const PlacedObject& placed : scene.objects) {
    const Box& box = placed.box;
    objects.push_back(
        {{"name", placed.object->name},
         {"code", placed.object->code},
         {"color", placed.color < 0 ? "" : kColors[static_cast<size_t>(placed.color)].name},
         {"box", {box.left, box.top, box.width, box.height}}});
  }
  return {{"kind", scene.kind},
          {"style", style_name(scene.style)},
          {"count", scene.objects.size()},
          {"relation", scene.relation},
          {"background", scene.ground_name},
          {"is_held_out", part == ScenePart::kHeldOut},
          {"objects", objects}};
}

NanoSet make_set(const EmojiSources& sources,
                 const std::shared_ptr<const std::vector<SceneObject>>& objects, int64_t count,
                 ScenePart part, std::string name) {
  NanoSet set;
  set.name = std::move(name);
  for (int64_t i = 0; i < count; ++i) {
    const Scene scene = plan_scene(*objects, i, part);
    NanoItem item;
    item.name = concat(scene.kind, "/", i);
    item.captions = scene_captions(scene);
    item.metadata = metadata_of(scene, part);
    item.draw = [&sources, objects, scene](int size) { return draw_scene(sources, scene, size); };
    set.items.push_back(std::move(item));
  }
  return set;
}

}  // namespace

Image draw_scene(const EmojiSources& sources, const Scene& scene, int size) {
  Image picture = filled(size, size, scene.ground_color);
  const std::string behind = scenery_svg(scene.ground);
  if (!behind.empty()) place(picture, draw_svg(wrap_svg(behind, 100, 100), size, size), 0, 0);
  if (scene.support != Support::kNone) {
    const std::string support =
        support_svg(scene.support, kColors[static_cast<size_t>(scene.support_color)].color);
    place(picture, draw_svg(wrap_svg(support, 100, 100), size, size), 0, 0);
  }
  for (const PlacedObject& placed : scene.objects)
    draw_object(sources, scene.style, placed, picture);
  return picture;
}

ScenesSets make_scenes_sets(const EmojiSources& sources, int64_t num_scenes, int64_t num_held_out) {
  const auto objects =
      std::make_shared<const std::vector<SceneObject>>(find_scene_objects(sources));
  check_user(objects->size() >= 100, "scenes: only ", objects->size(),
             " objects found; fetch the packages again with tools/fetch_nano_data.sh");
  return {make_set(sources, objects, num_scenes, ScenePart::kTrained, "scenes"),
          make_set(sources, objects, num_held_out, ScenePart::kHeldOut, "heldout_scenes")};
}

}  // namespace i1
