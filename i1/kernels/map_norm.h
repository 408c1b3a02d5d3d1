// GroupNorm (Wu and He 2018) over maps of pixels, in two halves: statistics, which may be gathered
// from bands of rows, and what is done to each pixel. LibTorch's own sums a map of many pixels in
// an order that depends on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// A GroupNorm whose statistics are known: x * scale + shift.
struct MapNorm {
  at::Tensor scale, shift;  ///< (B, C) float64
};

/// Sums over the pixels of a map that comes whole or in bands of rows, from top to bottom; in
/// float64: the squares of values far from zero would lose their variance in float32. Neither
/// threads nor, on a CPU, the bands' heights change a bit.
class MapSums {
 public:
  /// rows: (B, C, n, W), any float dtype.
  void add(const at::Tensor& rows);

  /// weight, bias: (C). Groups are of C / num_groups neighbouring channels.
  MapNorm norm(const at::Tensor& weight, const at::Tensor& bias, int64_t num_groups,
               double eps) const;

 private:
  at::Tensor sums_;  // (2, B, C) float64: of the values, of their squares
  int64_t num_pixels_ = 0;
};

/// The same from the whole map. x: (B, C, H, W).
MapNorm map_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                 int64_t num_groups, double eps);

/// x * scale + shift, and silu of that. x: (B, C, H, W), any float dtype; inner arithmetic in
/// float32, of float64 in float64. Returns the shape, dtype and, on a CPU, channels last. Not
/// differentiable.
at::Tensor apply(const MapNorm& norm, const at::Tensor& x);
at::Tensor apply_silu(const MapNorm& norm, const at::Tensor& x);

namespace reference {
at::Tensor map_sums(const at::Tensor& rows);  ///< (2, B, C) float64
at::Tensor apply(const MapNorm& norm, const at::Tensor& x);
at::Tensor apply_silu(const MapNorm& norm, const at::Tensor& x);
}  // namespace reference

}  // namespace i1
