// Linear layers in bfloat16 by the tiles of AMX. What a tile takes as its left factor is plain
// rows; its right factor must be packed. The weights are the left one, so they are read as their
// file has them, and the rows of x, which are far fewer bytes, are packed: y^T = W x^T. Tiles of
// y^T are turned on their way to y.
#include <hwy/highway.h>

#include <algorithm>

#include "i1/kernels/amx.h"
#include "i1/kernels/linear_kernels.h"
#include "i1/kernels/x86_intrinsics.h"

#if I1_HAS_AMX

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")
#include "i1/kernels/amx-inl.h"
#include "i1/kernels/bf16_panels-inl.h"

namespace i1::kernels {
namespace {

constexpr int64_t kCacheBytes = 1 << 20;  // of panels, which stay in the second-level cache
constexpr int64_t kTileValues = kLanes * kStepDepth;

template <int kSums, int kWeights, int kRows>
void add_products() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kWeights), "i"(kRows));
}

// Sums of y^T, (32 outputs, 32 rows).
struct Sums {
  alignas(64) float values[kLinearBlockOutputs][2 * kLinearPanelRows];
};

// y^T of up to 32 outputs from `weight` on, and one or two panels of rows.
template <bool kHasLower, bool kHasRight>
void multiply(const uint16_t* weight, int64_t weight_stride, const uint16_t* panel, int64_t depth,
              Sums& sums) {
  const int64_t weight_bytes = weight_stride * 2;
  zero_tile<kUpperLeft>();
  if constexpr (kHasRight) zero_tile<kUpperRight>();
  if constexpr (kHasLower) zero_tile<kLowerLeft>();
  if constexpr (kHasLower && kHasRight) zero_tile<kLowerRight>();
  for (int64_t d = 0; d < depth; d += kStepDepth) {
    const uint16_t* rows = panel + d / kStepDepth * kTileValues;
    load_tile<kLeft>(rows, kCacheLine);
    load_tile<kUpper>(weight + d, weight_bytes);
    add_products<kUpperLeft, kUpper, kLeft>();
    if constexpr (kHasLower)
      load_tile<kLower>(weight + kTileRows * weight_stride + d, weight_bytes);
    if constexpr (kHasLower) add_products<kLowerLeft, kLower, kLeft>();
    if constexpr (kHasRight) load_tile<kRight>(rows + kLanes * depth, kCacheLine);
    if constexpr (kHasRight) add_products<kUpperRight, kUpper, kRight>();
    if constexpr (kHasLower && kHasRight) add_products<kLowerRight, kLower, kRight>();
  }
  constexpr int64_t kStride = sizeof sums.values[0];
  store_tile<kUpperLeft>(sums.values[0], kStride);
  if constexpr (kHasRight) store_tile<kUpperRight>(sums.values[0] + kLanes, kStride);
  if constexpr (kHasLower) store_tile<kLowerLeft>(sums.values[kTileRows], kStride);
  if constexpr (kHasLower && kHasRight)
    store_tile<kLowerRight>(sums.values[kTileRows] + kLanes, kStride);
}

// 16 rows of y from the columns of sums that begin at `column`: outputs [output, output + 32) of
// rows [row, row + 16), as far as they are there.
void store_rows(const LinearBfloat16& a, const Sums& sums, int64_t column, int64_t row,
                int64_t output) {
  const auto mask = first_lanes<__mmask32>(a.out - output);
  const auto low_mask = static_cast<__mmask16>(mask),
             high_mask = static_cast<__mmask16>(mask >> 16);
  const auto bias_of = [&](int64_t first, __mmask16 lanes) {
    return a.bias == nullptr ? _mm512_setzero_ps() : load(a.bias + first, lanes);
  };
  const __m512 low_bias = bias_of(output, low_mask),
               high_bias = bias_of(output + kLanes, high_mask);
  __m512i low[kLanes], high[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    low[i] = _mm512_load_si512(sums.values[i] + column);
    high[i] = _mm512_load_si512(sums.values[kTileRows + i] + column);
  }
  transpose(low);
  transpose(high);
  const int64_t count = std::min(kLanes, a.rows - row);
  for (int64_t i = 0; i < count; ++i) {
    const __m512 first = _mm512_add_ps(_mm512_castsi512_ps(low[i]), low_bias);
    const __m512 second = _mm512_add_ps(_mm512_castsi512_ps(high[i]), high_bias);
    const auto rounded = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    _mm512_mask_storeu_epi16(a.y + (row + i) * a.y_stride + output, mask, rounded);
  }
}

template <bool kHasLower>
void multiply_block(const LinearBfloat16& a, int64_t output, int64_t first_panel,
                    int64_t last_panel) {
  const uint16_t* weight = a.weight + output * a.weight_stride;
  Sums sums;
  if constexpr (!kHasLower) sums = {};
  for (int64_t p = first_panel; p < last_panel; p += 2) {
    const uint16_t* panel = a.panels + p * kLanes * a.depth;
    const bool has_right = p + 1 < last_panel;
    has_right ? multiply<kHasLower, true>(weight, a.weight_stride, panel, a.depth, sums)
              : multiply<kHasLower, false>(weight, a.weight_stride, panel, a.depth, sums);
    store_rows(a, sums, 0, p * kLanes, output);
    if (has_right) store_rows(a, sums, kLanes, (p + 1) * kLanes, output);
  }
}

}  // namespace

void pack_rows_amx(const PackRows& a, int64_t begin, int64_t end) {
  for (int64_t p = begin; p < end; ++p) {
    pack_panel([&](int64_t i) { return a.x + (p * kLanes + i) * a.stride; }, a.rows - p * kLanes,
               a.depth, a.depth, a.panels + p * kLanes * a.depth);
  }
}

void linear_amx(const LinearBfloat16& a, int64_t begin, int64_t end) {
  const int64_t num_panels = (a.rows + kLanes - 1) / kLanes;
  const int64_t fit = kCacheBytes / (2 * kLanes * a.depth * 2);
  const int64_t chunk = 2 * std::max<int64_t>(1, fit);
  Tiles tiles;
  for (int64_t first = 0; first < num_panels; first += chunk) {
    const int64_t last = std::min(num_panels, first + chunk);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t output = block * kLinearBlockOutputs;
      const int64_t count = std::min(kLinearBlockOutputs, a.out - output);
      tiles.shape_for(count);
      count > kTileRows ? multiply_block<true>(a, output, first, last)
                        : multiply_block<false>(a, output, first, last);
    }
  }
}

}  // namespace i1::kernels
HWY_POP_ATTRIBUTES

#else

void i1::kernels::pack_rows_amx(const PackRows&, int64_t, int64_t) {}
void i1::kernels::linear_amx(const LinearBfloat16&, int64_t, int64_t) {}

#endif
