// Launch functions of map_norm: plain pointers and sizes, no tensors. A map is B H rows of W
// pixels of C channels, all contiguous.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

struct MapRowSums {
  const void* x;
  int64_t rows, W, C;
  double* sums;  ///< (rows, 2, C): of the values, of their squares
  Element element;
};

struct MapNormApply {
  const void* x;
  const float *scale, *shift;  ///< (B, C)
  int64_t rows, H, W, C;       ///< rows: B H
  bool has_silu;
  void* y;  ///< as x
  Element element;
};

/// Rows [begin, end).
void map_row_sums_cpu(const MapRowSums& op, int64_t begin, int64_t end);
void map_norm_apply_cpu(const MapNormApply& op, int64_t begin, int64_t end);

}  // namespace i1::kernels
