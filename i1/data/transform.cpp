#include "i1/data/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "i1/core/error.h"
#include "i1/data/resample.h"
#include "i1/io/tfrecord.h"

namespace i1 {
namespace {

constexpr double kMaxSide = 1e9;  // of the resized picture

Image crop(const Image& image, int left, int top, int width, int height) {
  Image out = make_image(width, height, image.channels);
  for (int y = 0; y < height; ++y) {
    std::memcpy(out.row(y), image.row(top + y) + static_cast<ptrdiff_t>(left) * image.channels,
                static_cast<size_t>(width) * image.channels);
  }
  return out;
}

// Makes a window of the resized picture from the rows of the whole one, as they come. Only what it
// needs is computed: a picture of 1 x 100,000 pixels would otherwise pass through gigabytes.
class Resizer {
 public:
  Resizer(int channels, const Axis& x, const Axis& y)
      : channels_(channels),
        x_(x),
        y_(y),
        columns_(x.is_kept() ? Taps{} : triangle_taps(x)),
        rows_(y.is_kept() ? Taps{} : triangle_taps(y)) {
    needed_.left = x.is_kept() ? x.begin : columns_.first();
    needed_.right = x.is_kept() ? x.begin + x.size : columns_.end();
    needed_.top = y.is_kept() ? y.begin : rows_.first();
    needed_.bottom = y.is_kept() ? y.begin + y.size : rows_.end();
    row_bytes_ = static_cast<size_t>(x.size) * channels;
    narrow_.resize(row_bytes_ * (needed_.bottom - needed_.top));
  }

  const ImageWindow& needed() const { return needed_; }

  // Row `y` from the first needed pixel on, readable kReadBehind bytes behind the last.
  void take(int y, const uint8_t* row) {
    uint8_t* out = narrow_.data() + static_cast<size_t>(y - needed_.top) * row_bytes_;
    if (x_.is_kept()) {
      std::memcpy(out, row, row_bytes_);
    } else {
      resample_row(row, channels_, columns_, out);
    }
  }

  Image finish() {
    Image image{x_.size, y_.size, channels_, {}};
    if (y_.is_kept()) {
      image.pixels = std::move(narrow_);
      return image;
    }
    image.pixels.resize(row_bytes_ * static_cast<size_t>(y_.size));
    for (size_t i = 0; i < rows_.windows.size(); ++i) {
      const auto first = static_cast<size_t>(rows_.windows[i].begin - needed_.top);
      resample_column(narrow_.data() + first * row_bytes_, row_bytes_, rows_, i,
                      image.row(static_cast<int>(i)));
    }
    return image;
  }

 private:
  int channels_;
  Axis x_, y_;
  Taps columns_, rows_;
  ImageWindow needed_;
  size_t row_bytes_ = 0;
  std::vector<uint8_t> narrow_;  // resized along x, rows top..bottom-1
};

Resizer cropping_resizer(ImageSize size, int channels, const ImageSize& target) {
  const ImageSize resized = covering_size(size.width, size.height, target);
  return {channels,
          {size.width, resized.width, (resized.width - target.width) / 2, target.width},
          {size.height, resized.height, (resized.height - target.height) / 2, target.height}};
}

Image resize(const Image& image, Resizer resizer) {
  const auto& [left, top, right, bottom] = resizer.needed();
  const size_t num_bytes = static_cast<size_t>(right - left) * image.channels;
  std::vector<uint8_t> row(num_bytes + kReadBehind);
  for (int y = top; y < bottom; ++y) {
    std::memcpy(row.data(), image.row(y) + static_cast<ptrdiff_t>(left) * image.channels,
                num_bytes);
    resizer.take(y, row.data());
  }
  return resizer.finish();
}

}  // namespace

ImageSize covering_size(int width, int height, const ImageSize& target) {
  const auto scaled = [&](int longer, int side, int shorter) {
    const double size = std::nearbyint(longer * (static_cast<double>(side) / shorter));
    check_user(size <= kMaxSide, "a picture of ", width, " x ", height, " pixels is too narrow");
    return static_cast<int>(size);
  };
  check_user(width > 0 && height > 0, "a picture of ", width, " x ", height, " pixels");
  if (int64_t{width} * target.height <= int64_t{height} * target.width)
    return {target.width, scaled(height, target.width, width)};
  return {scaled(width, target.height, height), target.height};
}

ImageSize resized_size(int width, int height, int resolution) {
  return covering_size(width, height, {resolution, resolution});
}

Image resize_bilinear(const Image& image, int width, int height) {
  return resize(image, Resizer(image.channels, {image.width, width, 0, width},
                               {image.height, height, 0, height}));
}

Image fit_within(Image image, int longest_edge) {
  const int longer = std::max(image.width, image.height);
  if (longer <= longest_edge) return image;
  const auto scaled = [&](int edge) {
    const double size = std::round(edge * (static_cast<double>(longest_edge) / longer));
    return std::max(1, static_cast<int>(size));
  };
  return resize_bilinear(image, scaled(image.width), scaled(image.height));
}

Image centre_crop(const Image& image, int width, int height) {
  return crop(image, (image.width - width) / 2, (image.height - height) / 2, width, height);
}

Image resize_and_crop(const Image& image, int resolution) {
  return resize_and_crop(image, {resolution, resolution});
}

Image resize_and_crop(const Image& image, const ImageSize& target) {
  return resize(image, cropping_resizer({image.width, image.height}, image.channels, target));
}

Image decode_resized(std::span<const std::byte> bytes, const std::string& where,
                     const ImageSize& target, bool is_fast) {
  std::optional<Resizer> resizer;
  decode_rows(
      bytes, where,
      [&](ImageSize size) {
        const ImageSize resized = covering_size(size.width, size.height, target);
        return is_fast ? std::min(resized.width, resized.height) : 0;
      },
      [&](ImageSize size) {
        resizer.emplace(cropping_resizer(size, 3, target));
        return resizer->needed();
      },
      [&](int y, const uint8_t* row) { resizer->take(y, row); });
  return resizer->finish();
}

Image fit_picture(Image image, const ImageSize& target, const std::string& where) {
  if (image.width == target.width && image.height == target.height) return image;
  try {
    return resize_and_crop(image, target);
  } catch (const UserError& error) {
    throw RecordError("picture is too narrow", where + ": " + error.what());
  }
}

}  // namespace i1
