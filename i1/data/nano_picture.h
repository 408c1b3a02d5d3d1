// Small pictures put together: everything that has a transparent ground is a *sprite*, an RGBA
// Image whose colours are already multiplied by alpha, so that resizing mixes no hidden colour in
// and placing it on a ground is one multiplication.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "i1/io/image.h"

namespace i1 {

struct Color {
  uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Color&) const = default;
};
struct NamedColor {
  const char* name;
  Color color;
};

/// The colours that captions name.
inline constexpr std::array<NamedColor, 12> kColors = {{{"red", {221, 36, 36}},
                                                        {"orange", {247, 140, 25}},
                                                        {"yellow", {250, 220, 50}},
                                                        {"green", {48, 160, 64}},
                                                        {"turquoise", {50, 195, 190}},
                                                        {"blue", {40, 90, 215}},
                                                        {"purple", {130, 60, 180}},
                                                        {"pink", {250, 150, 195}},
                                                        {"brown", {125, 78, 45}},
                                                        {"black", {22, 22, 24}},
                                                        {"gray", {140, 142, 146}},
                                                        {"white", {255, 255, 255}}}};
inline constexpr Color kWhite = {255, 255, 255};

/// A decoded RGBA picture as a sprite.
Image to_sprite(Image image);
/// The part of a sprite that is not transparent (alpha above 8 of 255). Throws LeftOut where
/// nothing is.
Image trim(const Image& sprite);
Image resize_sprite(const Image& sprite, int width, int height);
/// As large as fits the box, aspect kept.
Image fit_sprite(const Image& sprite, int width, int height);
/// Every pixel in one colour, alpha kept: silhouettes and letters.
Image paint_sprite(const Image& sprite, Color color);

/// A new RGB picture in one colour.
Image filled(int width, int height, Color color);
/// Lays a sprite onto an RGB picture, its upper left corner at (x, y); what lies outside is cut.
void place(Image& picture, const Image& sprite, int x, int y);
/// A sprite in the middle of a transparent box that is at least as large.
Image pad_sprite(const Image& sprite, int width, int height);
/// A sprite in the middle of a square, scaled to fill `share` of the side.
Image centred(const Image& sprite, int size, double share, Color ground);

/// A picture file as a sprite. Throws LeftOut where it cannot be decoded or has more than
/// kMaxPixels.
Image read_sprite(const std::filesystem::path& path);
inline constexpr int64_t kMaxPixels = 20'000'000;
/// An SVG document as a sprite, its view box scaled to fit. Throws LeftOut where librsvg cannot
/// draw it.
Image draw_svg(std::string_view svg, int width, int height);
/// `body` in an <svg> of that view box.
std::string wrap_svg(std::string_view body, double width, double height);
std::string to_hex(Color color);  ///< "#dd2424"

}  // namespace i1
