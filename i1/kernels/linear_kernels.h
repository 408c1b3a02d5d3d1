// Launch functions of linear layers in bfloat16 by tiles: plain pointers and sizes, no tensors.
#pragma once

#include <cstdint>

namespace i1::kernels {

/// Both take a depth that is a multiple of this.
constexpr int64_t kLinearDepthUnit = 32;
constexpr int64_t kLinearPanelRows = 16;     ///< rows of x in a panel
constexpr int64_t kLinearBlockOutputs = 32;  ///< outputs that are made at once

struct PackRows {
  const uint16_t* x;  ///< (rows, depth), rows stride apart
  int64_t stride, rows, depth;
  uint16_t* panels;  ///< (ceil(rows / 16), depth / 2, 16, 2), at a multiple of 64 bytes
};

/// Panels [begin, end) of x as the right factor of tiles.
void pack_rows_amx(const PackRows& op, int64_t begin, int64_t end);

struct LinearBfloat16 {
  const uint16_t* panels;  ///< of pack_rows_amx
  int64_t rows, depth;
  const uint16_t* weight;  ///< (out, depth), rows weight_stride apart
  int64_t weight_stride, out;
  const uint16_t* bias;  ///< (out); null = none
  uint16_t* y;           ///< (rows, out), rows y_stride apart
  int64_t y_stride;
};

/// Blocks [begin, end) of 32 outputs of y = x W^T + b, sums in float32 over the depth in order,
/// rounded once: a row's result depends on that row alone.
void linear_amx(const LinearBfloat16& op, int64_t begin, int64_t end);

}  // namespace i1::kernels
