#include "i1/data/transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "i1/core/error.h"
#include "i1/io/tfrecord.h"

namespace i1 {
namespace {

constexpr int kPrecisionBits = 22;
constexpr double kMaxSide = 1e9;  // of the resized picture

// A stretch of one axis after resizing: `size` positions of it from `begin`.
struct Axis {
  int in_size, out_size, begin, size;
};

// The taps of each output position along one axis.
struct Taps {
  struct Window {
    int begin, count;
    size_t first_weight;
  };
  std::vector<Window> windows;
  std::vector<int32_t> weights;

  int first() const { return windows.front().begin; }
  int end() const { return windows.back().begin + windows.back().count; }
};

// In doubles and in this order of operations: the fixed-point weights depend on the last bit.
Taps triangle_taps(const Axis& axis) {
  const double scale = static_cast<double>(axis.in_size) / axis.out_size;
  const double reduction = std::max(scale, 1.0), inverse = 1.0 / reduction;
  Taps taps;
  std::vector<double> weights;
  for (int out = axis.begin; out < axis.begin + axis.size; ++out) {
    const double centre = (out + 0.5) * scale;
    const int begin = std::max(0, static_cast<int>(centre - reduction + 0.5));
    const int end = std::min(axis.in_size, static_cast<int>(centre + reduction + 0.5));
    weights.clear();
    double sum = 0;
    for (int i = begin; i < end; ++i) {
      weights.push_back(std::max(0.0, 1.0 - std::abs((i - centre + 0.5) * inverse)));
      sum += weights.back();
    }
    taps.windows.push_back({begin, end - begin, taps.weights.size()});
    for (const double weight : weights) {
      taps.weights.push_back(static_cast<int32_t>(0.5 + weight / sum * (1 << kPrecisionBits)));
    }
  }
  return taps;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

// Rows first..end-1 of the picture, resized along x.
template <int kChannels>
Image resize_rows(const Image& image, const Axis& axis, int first, int end) {
  const Taps taps = triangle_taps(axis);
  Image out = make_image(axis.size, end - first, kChannels);
  for (int y = first; y < end; ++y) {
    const uint8_t* in = image.row(y);
    uint8_t* pixel = out.row(y - first);
    for (const Taps::Window& window : taps.windows) {
      int32_t sums[kChannels];
      std::fill_n(sums, kChannels, kHalf);
      const int32_t* weight = taps.weights.data() + window.first_weight;
      const uint8_t* tap = in + static_cast<ptrdiff_t>(window.begin) * kChannels;
      for (int i = 0; i < window.count; ++i, tap += kChannels) {
        for (int c = 0; c < kChannels; ++c) sums[c] += weight[i] * tap[c];
      }
      for (int c = 0; c < kChannels; ++c) *pixel++ = to_byte(sums[c]);
    }
  }
  return out;
}

// Resized along y; row 0 of the picture is row `first` of the axis.
Image resize_columns(const Image& image, const Taps& taps, int first) {
  const size_t row_bytes = static_cast<size_t>(image.width) * image.channels;
  const auto height = static_cast<int>(taps.windows.size());
  Image out = make_image(image.width, height, image.channels);
  std::vector<int32_t> sums(row_bytes);
  for (int y = 0; y < height; ++y) {
    const Taps::Window& window = taps.windows[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int i = 0; i < window.count; ++i) {
      const int32_t weight = taps.weights[window.first_weight + static_cast<size_t>(i)];
      const uint8_t* in = image.row(window.begin - first + i);
      for (size_t x = 0; x < row_bytes; ++x) sums[x] += weight * in[x];
    }
    std::transform(sums.begin(), sums.end(), out.row(y), to_byte);
  }
  return out;
}

Image crop(const Image& image, int left, int top, int width, int height) {
  Image out = make_image(width, height, image.channels);
  for (int y = 0; y < height; ++y) {
    std::memcpy(out.row(y), image.row(top + y) + static_cast<ptrdiff_t>(left) * image.channels,
                static_cast<size_t>(width) * image.channels);
  }
  return out;
}

// A window of the resized picture. Only what it needs is computed: a picture of 1 x 100,000 pixels
// would otherwise pass through gigabytes.
Image resize_window(const Image& image, const Axis& x, const Axis& y) {
  const bool keeps_width = x.in_size == x.out_size, keeps_height = y.in_size == y.out_size;
  const Taps rows = keeps_height ? Taps{} : triangle_taps(y);
  const int first = keeps_height ? y.begin : rows.first(),
            end = keeps_height ? y.begin + y.size : rows.end();
  const Image narrow = keeps_width           ? crop(image, x.begin, first, x.size, end - first)
                       : image.channels == 4 ? resize_rows<4>(image, x, first, end)
                                             : resize_rows<3>(image, x, first, end);
  return keeps_height ? narrow : resize_columns(narrow, rows, first);
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
  return resize_window(image, {image.width, width, 0, width}, {image.height, height, 0, height});
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
  const ImageSize size = covering_size(image.width, image.height, target);
  return resize_window(
      image, {image.width, size.width, (size.width - target.width) / 2, target.width},
      {image.height, size.height, (size.height - target.height) / 2, target.height});
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
