#include "i1/data/nano_shapes.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/nano_key.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_picture.h"
#include "i1/data/nano_split.h"

namespace i1 {
namespace {

constexpr int kPairsPerShape = 5;
constexpr double kHeldOutShapes = 0.125;
constexpr double kMinShare = 0.6, kMaxShare = 0.92, kMargin = 0.04;
constexpr double kIconSide = 512;

struct ColorPair {
  size_t shape = 0, ground = 0;  // indices into kColors
};

std::vector<std::string> shape_captions(const std::string& name, ColorPair colors) {
  const std::string shape = kColors[colors.shape].name, ground = kColors[colors.ground].name;
  const std::string on_ground = " on " + with_article(ground + " background");
  return {with_article(shape + " " + name) + on_ground,
          with_article(shape + " silhouette") + " of " + with_article(name) + on_ground,
          name + ", " + shape + " on " + ground};
}

NanoItem make_item(const std::shared_ptr<const std::string>& svg, const std::string& icon,
                   const std::string& name, ColorPair colors) {
  NanoItem item;
  const char* shape = kColors[colors.shape].name;
  const char* ground = kColors[colors.ground].name;
  item.name = concat(icon, "/", shape, "-on-", ground);
  item.captions = shape_captions(name, colors);
  item.metadata = {{"shape", name}, {"color", shape}, {"background", ground}};
  item.draw = [svg, colors, key = "place/" + item.name](int size) {
    KeyDraws draws(key);
    const int side = static_cast<int>(std::lround(size * draws.uniform(kMinShare, kMaxShare)));
    const Image sprite = fit_sprite(trim(draw_svg(*svg, size, size)), side, side);
    Image picture = filled(size, size, kColors[colors.ground].color);
    // Anywhere between the margins, more often near the middle.
    const auto position = [&](int length) {
      const double room = size * (1 - 2 * kMargin) - length;
      return static_cast<int>(size * kMargin + room * (draws.uniform() + draws.uniform()) / 2);
    };
    const int x = position(sprite.width), y = position(sprite.height);
    place(picture, paint_sprite(sprite, kColors[colors.shape].color), x, y);
    return picture;
  };
  return item;
}

// The colour pairs of one silhouette in an order of its own.
std::vector<ColorPair> shuffled_pairs(const std::string& icon) {
  std::vector<ColorPair> pairs;
  for (size_t shape = 0; shape < kColors.size(); ++shape) {
    for (size_t ground = 0; ground < kColors.size(); ++ground) {
      if (shape != ground) pairs.push_back({shape, ground});
    }
  }
  KeyDraws("shapes/" + icon).shuffle(pairs);
  return pairs;
}

}  // namespace

std::string name_of_icon(std::string_view icon) {
  std::vector<std::string> words = split_trimmed(icon, '-');
  while (words.size() > 1 && words.back().find_first_not_of("0123456789") == std::string::npos)
    words.pop_back();
  if (words.empty() || words[0] == "abstract" || words[0] == "suicide") return "";
  std::string name = words[0];
  for (size_t i = 1; i < words.size(); ++i) name.append(" ").append(words[i]);
  return name;
}

ShapesSets make_shapes_sets(const std::filesystem::path& sources) {
  const std::filesystem::path file = sources / "@iconify-json/game-icons/icons.json";
  ShapesSets sets;
  sets.shapes.name = "shapes";
  sets.heldout_shapes.name = "heldout_shapes";
  nlohmann::json icons;
  try {
    icons = nlohmann::json::parse(read_file(file)).at("icons");
  } catch (const nlohmann::json::exception& error) {
    throw UserError(concat(file.string(), ": not as in Iconify's packages: ", error.what()));
  }
  for (const auto& [icon, drawing] : icons.items()) {
    const std::string name = name_of_icon(icon);
    if (name.empty()) {
      ++sets.shapes.left_out["nothing that has a name"];
      continue;
    }
    const auto svg = std::make_shared<const std::string>(
        wrap_svg(drawing.at("body").get_ref<const std::string&>(), kIconSide, kIconSide));
    int num_shown = 0;
    bool is_hidden_shown = key_share("heldout_shapes/" + icon) >= kHeldOutShapes;
    for (const ColorPair& colors : shuffled_pairs(icon)) {
      if (is_shape_color_hidden(name, kColors[colors.shape].name)) {
        if (is_hidden_shown) continue;
        is_hidden_shown = true;
        sets.heldout_shapes.items.push_back(make_item(svg, icon, name, colors));
      } else if (num_shown < kPairsPerShape) {
        ++num_shown;
        sets.shapes.items.push_back(make_item(svg, icon, name, colors));
      }
    }
  }
  return sets;
}

}  // namespace i1
