// Pillow's "bilinear" resampling along one axis, bit for bit: a triangle filter widened by the
// reduction, in fixed point with 22 bits. The passes run on vectors of 32-bit sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace i1 {

/// A stretch of one axis after resizing: `size` positions of it from `begin`.
struct Axis {
  int in_size, out_size, begin, size;

  bool is_kept() const { return in_size == out_size; }
};

/// The taps of each output position along one axis.
struct Taps {
  struct Window {
    int begin, count;
    size_t first_weight, first_group;

    size_t num_groups() const { return (static_cast<size_t>(count) + 3) / 4; }
  };
  static constexpr int kLowerBits = 11;
  std::vector<Window> windows;
  std::vector<int32_t> weights;
  std::vector<uint64_t> upper, lower;  ///< bits of the weights, groups of four of 16 bits

  int first() const { return windows.front().begin; }
  int end() const { return windows.back().begin + windows.back().count; }
};
Taps triangle_taps(const Axis& axis);

/// One row along x. `in` is pixel taps.first() of the row, readable kReadBehind bytes behind the
/// last pixel that is needed.
constexpr size_t kReadBehind = 16;
void resample_row(const uint8_t* in, int channels, const Taps& taps, uint8_t* out);

/// One output row along y: `in` is the window's first row, each of `row_bytes` bytes.
void resample_column(const uint8_t* in, size_t row_bytes, const Taps& taps, size_t position,
                     uint8_t* out);

/// The plain twins.
namespace reference {
void resample_row(const uint8_t* in, int channels, const Taps& taps, uint8_t* out);
void resample_column(const uint8_t* in, size_t row_bytes, const Taps& taps, size_t position,
                     uint8_t* out);
}  // namespace reference

}  // namespace i1
