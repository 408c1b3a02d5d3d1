// What `scenes` are put together from: emoji concepts that are one countable thing, and their
// recoloured versions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "i1/data/nano_emoji.h"
#include "i1/data/nano_picture.h"

namespace i1 {

/// True for names of one countable thing that stands free: "red apple", not "sunset", "scissors" or
/// "chart increasing".
bool is_scene_object(const EmojiConcept& entry);

/// "red apple" -> "apple": the name without a colour in front.
std::string without_color(std::string_view name);

/// The hue in degrees that at least 55 % of a sprite's visible pixels share (within 30), where
/// other strong hues take less than 15 %. Such an object can be recoloured as a whole.
std::optional<double> single_hue(const Image& sprite);

/// A sprite whose pixels near `hue` take the new colour; light and shade are kept.
Image recolor(const Image& sprite, double hue, Color color);

struct SceneObject {
  std::string code;
  std::string name;              ///< "red apple"
  std::string plain_name;        ///< "apple"
  std::vector<Style> styles;     ///< those that are trained on
  std::map<Style, double> hues;  ///< of the styles in which it can be recoloured
};

/// Every object that is trained on in some style, sorted by code. Draws each once, small.
std::vector<SceneObject> find_scene_objects(const EmojiSources& sources);

}  // namespace i1
