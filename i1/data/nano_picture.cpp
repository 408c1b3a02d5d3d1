#include "i1/data/nano_picture.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/nano_set.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

constexpr uint8_t kVisibleAlpha = 8;

// value * alpha / 255, rounded.
uint8_t scaled(int value, int alpha) { return static_cast<uint8_t>((value * alpha + 127) / 255); }

const uint8_t* pixel(const Image& image, int x, int y) {
  return image.row(y) + static_cast<size_t>(x) * image.channels;
}
uint8_t* pixel(Image& image, int x, int y) {
  return image.row(y) + static_cast<size_t>(x) * image.channels;
}

Image crop(const Image& image, int left, int top, int width, int height) {
  Image part = make_image(width, height, image.channels);
  for (int y = 0; y < height; ++y) {
    const uint8_t* row = pixel(image, left, top + y);
    std::copy(row, row + static_cast<size_t>(width) * image.channels, pixel(part, 0, y));
  }
  return part;
}

}  // namespace

Image to_sprite(Image image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    uint8_t* at = image.pixels.data() + i;
    for (int c = 0; c < 3; ++c) at[c] = scaled(at[c], at[3]);
  }
  return image;
}

Image trim(const Image& sprite) {
  int left = sprite.width, top = sprite.height, right = -1, bottom = -1;
  for (int y = 0; y < sprite.height; ++y) {
    for (int x = 0; x < sprite.width; ++x) {
      if (pixel(sprite, x, y)[3] <= kVisibleAlpha) continue;
      left = std::min(left, x), right = std::max(right, x);
      top = std::min(top, y), bottom = std::max(bottom, y);
    }
  }
  if (right < 0) throw LeftOut("empty picture");
  return crop(sprite, left, top, right - left + 1, bottom - top + 1);
}

Image resize_sprite(const Image& sprite, int width, int height) {
  return resize_bilinear(sprite, width, height);
}

Image fit_sprite(const Image& sprite, int width, int height) {
  const double scale = std::min(static_cast<double>(width) / sprite.width,
                                static_cast<double>(height) / sprite.height);
  const auto scaled_side = [&](int side, int limit) {
    return std::clamp(static_cast<int>(std::lround(side * scale)), 1, limit);
  };
  return resize_sprite(sprite, scaled_side(sprite.width, width),
                       scaled_side(sprite.height, height));
}

Image paint_sprite(const Image& sprite, Color color) {
  Image painted = sprite;
  for (size_t i = 0; i < painted.pixels.size(); i += 4) {
    uint8_t* at = painted.pixels.data() + i;
    at[0] = scaled(color.red, at[3]);
    at[1] = scaled(color.green, at[3]);
    at[2] = scaled(color.blue, at[3]);
  }
  return painted;
}

Image filled(int width, int height, Color color) {
  Image picture = make_image(width, height, 3);
  for (size_t i = 0; i < picture.pixels.size(); i += 3) {
    picture.pixels[i] = color.red;
    picture.pixels[i + 1] = color.green;
    picture.pixels[i + 2] = color.blue;
  }
  return picture;
}

void place(Image& picture, const Image& sprite, int x, int y) {
  const int left = std::max(0, -x), right = std::min(sprite.width, picture.width - x);
  const int top = std::max(0, -y), bottom = std::min(sprite.height, picture.height - y);
  for (int row = top; row < bottom; ++row) {
    for (int column = left; column < right; ++column) {
      const uint8_t* from = pixel(sprite, column, row);
      uint8_t* to = pixel(picture, x + column, y + row);
      for (int c = 0; c < picture.channels; ++c) {
        const int ground = scaled(to[c], 255 - from[3]);
        to[c] = static_cast<uint8_t>(std::min(255, from[c] + ground));
      }
    }
  }
}

Image pad_sprite(const Image& sprite, int width, int height) {
  if (sprite.width == width && sprite.height == height) return sprite;
  Image padded = make_image(width, height, 4);
  place(padded, sprite, (width - sprite.width) / 2, (height - sprite.height) / 2);
  return padded;
}

Image centred(const Image& sprite, int size, double share, Color ground) {
  const int side = std::max(1, static_cast<int>(std::lround(size * share)));
  const Image fitted = fit_sprite(sprite, side, side);
  Image picture = filled(size, size, ground);
  place(picture, fitted, (size - fitted.width) / 2, (size - fitted.height) / 2);
  return picture;
}

Image read_sprite(const std::filesystem::path& path) {
  try {
    return to_sprite(read_image(path, {.keep_alpha = true, .max_pixels = kMaxPixels}));
  } catch (const UserError&) {
    throw LeftOut("cannot be decoded");
  }
}

Image draw_svg(std::string_view svg, int width, int height) {
  // cairo 1.16 closes a font face that another thread is reading once more than ten are open.
  static std::mutex one_text_at_a_time;
  std::unique_lock lock(one_text_at_a_time, std::defer_lock);
  if (svg.find("<text") != std::string_view::npos) lock.lock();
  try {
    return to_sprite(render_svg(svg, width, height, "drawing"));
  } catch (const UserError&) {
    throw LeftOut("cannot be drawn");
  }
}

std::string wrap_svg(std::string_view body, double width, double height) {
  return concat("<svg xmlns=\"http://www.w3.org/2000/svg\" ",
                "xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 ", width, " ", height,
                "\">", body, "</svg>");
}

std::string to_hex(Color color) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", color.red, color.green, color.blue);
  return text;
}

}  // namespace i1
