// A large map worked on in bands of rows, so that memory holds the intermediates of one band only.
// A band is as wide as the map. It is cut with as many rows on either side as the layers look
// beyond it, and those rows, which the layers get wrong at a cut, are dropped again: what is left
// is what the layers make of the whole map, but for rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace i1 {

/// Rows begin to end - 1 of a map.
struct Rows {
  int64_t begin, end;

  int64_t size() const { return end - begin; }
};

/// `rows` and up to `reach` more on either side, within a map of `height` rows.
Rows widen(Rows rows, int64_t reach, int64_t height);

/// Rows of a map (B, C, H, W): a view.
at::Tensor rows_of(const at::Tensor& map, Rows rows);

/// Layers that pad with zeros at a map's border and keep its size or multiply it.
struct BandLayer {
  std::function<at::Tensor(const at::Tensor&)> run;  ///< (B, C, n, W) -> (B, C', scale n, scale W)
  int64_t reach;  ///< rows of the output on either side that share an input with a row of it
  int64_t scale = 1;
};

/// Rows of what `layers`, one after the other, make of `map`.
at::Tensor run_rows(const std::vector<BandLayer>& layers, const at::Tensor& map, Rows rows);

/// Calls `visit(rows)` for all bands of a map of `height` rows, from the top, each of `band_rows`
/// rows or, the last, of fewer.
void for_each_band(int64_t height, int64_t band_rows, const std::function<void(Rows)>& visit);

/// All rows of what `layers` make of `map`, `band_rows` rows of the output at a time.
at::Tensor run_in_bands(const std::vector<BandLayer>& layers, const at::Tensor& map,
                        int64_t band_rows);

}  // namespace i1
