// How bfloat16 lies for products of two values at once: in panels of 16 columns, which hold, for
// every two values of the depth, 16 columns of two values: (depth / 2, 16, 2). Included within the
// file's target attributes (AVX-512 with BF16).
#pragma once

#include <cstdint>

#include "i1/kernels/avx512-inl.h"

namespace i1::kernels {
namespace {

constexpr int64_t kStepDepth = 32;  // a step: what one tile multiplies of the depth
constexpr int64_t kCacheLine = 64;

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// 16 x 16 values of 32 bits, in place.
HWY_INLINE void transpose(__m512i (&r)[kLanes]) {
  __m512i t[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xDD);
    t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xDD);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
    r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xDD);
    r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xDD);
  }
}

// One panel: its columns are the first `count` of 16 rows of `depth` values, zeros elsewhere.
// padded_depth: whole steps.
template <class RowOf>
void pack_panel(const RowOf& row_of, int64_t count, int64_t depth, int64_t padded_depth,
                uint16_t* panel) {
  for (int64_t d = 0; d < padded_depth; d += kStepDepth) {
    const auto mask = first_lanes<__mmask32>(depth - d);
    __m512i block[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      block[i] = i < count ? _mm512_maskz_loadu_epi16(mask, row_of(i) + d) : _mm512_setzero_si512();
    }
    transpose(block);
    for (int64_t i = 0; i < kLanes; ++i)
      _mm512_store_si512(panel + d * kLanes + i * 2 * kLanes, block[i]);
  }
}

}  // namespace
}  // namespace i1::kernels
