// Launch functions of conv3x3: plain pointers and sizes, no tensors. Maps are (B, H, W, channels).
#pragma once

#include <cstdint>

namespace i1::kernels {

constexpr int64_t kConvPanel = 16;   ///< outputs whose weights lie together
constexpr int64_t kConvPoints = 16;  ///< of a transformed tile of 4x4 pixels
constexpr int64_t kConvRows = 6;     ///< tiles that are multiplied at once

struct Conv3x3Weights {
  const float* weight;  ///< (out, in, 3, 3)
  int64_t strides[4];   ///< of weight, in values
  int64_t in, out;
  float* packed;  ///< (16, ceil(out / 16), in, 16)
};

struct Conv3x3 {
  const float* x;  ///< (B, H, W, in)
  int64_t B, H, W, in, out;
  const float* packed;  ///< of conv3x3_pack, at a multiple of 64 bytes
  const float* bias;    ///< (out); null = none
  int64_t tiles;        ///< of 2x2 results in a block, a multiple of kConvRows
  float* y;             ///< (B, H, W, out)

  int64_t num_tiles() const { return B * ((H + 1) / 2) * ((W + 1) / 2); }
};

/// Panels [begin, end) of weights, transformed: G g G^T.
void conv3x3_pack(const Conv3x3Weights& op, int64_t begin, int64_t end);

/// Blocks [begin, end) of tiles.
void conv3x3_cpu(const Conv3x3& op, int64_t begin, int64_t end);

}  // namespace i1::kernels
