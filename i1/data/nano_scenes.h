// The `scenes` set: one to six objects of the emoji pictures on a ground, put together so that
// captions bind: how many, which colour, where, on what.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "i1/data/nano_emoji.h"
#include "i1/data/nano_objects.h"
#include "i1/data/nano_set.h"

namespace i1 {

/// A rectangle in shares of the picture's side, y downwards.
struct Box {
  double left = 0, top = 0, width = 0, height = 0;
};

struct PlacedObject {
  const SceneObject* object = nullptr;
  int color = -1;  ///< index into kColors, -1 = as drawn
  Box box;         ///< the object is as large as fits, standing on its lower edge
  bool is_mirrored = false;
};

/// What is behind and beneath the objects.
enum class Ground { kWhite, kColor, kGrass, kSnow, kBeach, kNight };
enum class Support { kNone, kPlate, kTable, kBox, kCarpet };

struct Scene {
  std::string kind;  ///< "single", "color", "count", "pair", "colors", "support", "three"
  Style style = Style::k3d;
  Ground ground = Ground::kWhite;
  Color ground_color;       ///< the exact shade
  std::string ground_name;  ///< "blue"; for kColor
  Support support = Support::kNone;
  int support_color = -1;
  bool is_below_support = false;  ///< under the table
  std::string relation;           ///< of the first object to the second: "left", "above"; or empty
  std::vector<PlacedObject> objects;
};

/// The part of the split a plan is drawn for: training scenes show no hidden pair, count or colour,
/// held-out ones show exactly one.
enum class ScenePart { kTrained, kHeldOut };

/// The scene number `index`: which kind, objects, colours and places follow from the key alone.
Scene plan_scene(const std::vector<SceneObject>& objects, int64_t index, ScenePart part);

/// Two to four ways to say it; the first without style, the second with it.
std::vector<std::string> scene_captions(const Scene& scene);

Image draw_scene(const EmojiSources& sources, const Scene& scene, int size);

struct ScenesSets {
  NanoSet scenes, heldout_scenes;
};
/// `sources` must outlive the sets. Objects are those of `find_scene_objects`.
ScenesSets make_scenes_sets(const EmojiSources& sources, int64_t num_scenes, int64_t num_held_out);

}  // namespace i1
