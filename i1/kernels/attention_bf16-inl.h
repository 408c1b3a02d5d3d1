// Attention of one head with products of bfloat16 and sums in float32, forward alone: a block of
// queries meets the keys block by block, and what it has gathered is rescaled where a larger logit
// turns up (Dao et al. 2022, FlashAttention; here no block is skipped and none is recomputed).
//
//   s = q k^T;  m' = max(m, max s);  p = exp2(c s - m');  l = l exp2(m - m') + sum p
//   o = o exp2(m - m') + p v;  out = o / l          with c = scale log2(e), m in units of c s
//
// The products are those of the file that includes this, within its target attributes: it defines
// `Products`, whose `multiply` adds to or sets 32 rows by panels of 16 columns. Rows of queries do
// not meet, so a row's result does not depend on its block.
#pragma once

#include <algorithm>
#include <limits>

#include "i1/kernels/attention_kernels.h"
#include "i1/kernels/bf16_panels-inl.h"

namespace i1::kernels {
namespace {

constexpr int64_t kRows = 32;   // queries in a block
constexpr int64_t kKeys = 128;  // keys in a block
constexpr float kLog2E = 1.4426950408889634f;

// The panels of one matrix: values of a panel, and what lies between two panels.
struct Panels {
  const uint16_t* data;
  int64_t stride;
};

// How scratch is divided; every part begins at a cache line.
struct Scratch {
  Scratch(const AttentionHead& head, void* memory)
      : num_keys(round_up(head.count, kStepDepth)),
        depth(round_up(head.head_dim, kStepDepth)),
        width(round_up(head.head_dim, kLanes)) {
    auto* next = reinterpret_cast<char*>(round_up(reinterpret_cast<int64_t>(memory), kCacheLine));
    const auto take = [&]<class T>(T*& part, int64_t size) {
      part = reinterpret_cast<T*>(next);
      next += round_up(size * static_cast<int64_t>(sizeof(T)), kCacheLine);
    };
    take(keys, num_keys * depth);
    take(values, num_keys * width);
    take(queries, kRows * depth);
    take(logits, kRows * kKeys);
    take(weights, kRows * kKeys);
    take(mixed, kRows * width);
    num_bytes = next - static_cast<char*>(memory);
  }

  int64_t num_keys, depth, width, num_bytes;
  uint16_t* keys;     // panels of 16 keys: (num_keys / 16, depth / 2, 16, 2)
  uint16_t* values;   // panels of 16 channels: (width / 16, num_keys / 2, 16, 2)
  uint16_t* queries;  // (kRows, depth)
  float* logits;      // (kRows, kKeys)
  uint16_t* weights;  // (kRows, kKeys)
  float* mixed;       // (kRows, width)
};

inline const uint16_t* row_of(const AttentionHead& head, const void* data, int64_t stride,
                              int64_t i) {
  return static_cast<const uint16_t*>(data) + head.rows[i] * stride;
}

inline void pack_keys(const AttentionHead& head, const Scratch& s) {
  for (int64_t first = 0; first < s.num_keys; first += kLanes) {
    pack_panel([&](int64_t i) { return row_of(head, head.k, head.k_stride, first + i); },
               head.count - first, head.head_dim, s.depth, s.keys + first * s.depth);
  }
}

inline void pack_values(const AttentionHead& head, const Scratch& s) {
  for (int64_t e = 0; e < s.width; e += kLanes) {
    const auto mask = first_lanes<__mmask16>(head.head_dim - e);
    const auto load = [&](int64_t i) {
      if (i >= head.count) return _mm512_setzero_si512();
      return _mm512_cvtepu16_epi32(
          _mm256_maskz_loadu_epi16(mask, row_of(head, head.v, head.v_stride, i) + e));
    };
    uint16_t* panel = s.values + e * s.num_keys;
    for (int64_t i = 0; i < s.num_keys; i += 2)
      _mm512_store_si512(panel + i * kLanes,
                         _mm512_or_si512(load(i), _mm512_slli_epi32(load(i + 1), 16)));
  }
}

inline void load_queries(const AttentionHead& head, const Scratch& s, int64_t begin,
                         int64_t count) {
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t d = 0; d < s.depth; d += kStepDepth) {
      const auto mask = first_lanes<__mmask32>(i < count ? head.head_dim - d : 0);
      const uint16_t* row = row_of(head, head.q, head.q_stride, begin + (i < count ? i : 0));
      _mm512_store_si512(s.queries + i * s.depth + d, _mm512_maskz_loadu_epi16(mask, row + d));
    }
  }
}

// 2^x for x <= 0 to 3e-6 of its value, far below what bfloat16 keeps; NaN stays NaN.
HWY_INLINE __m512 exp2_of(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-150), x);
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(x, whole);  // -0.5 to 0.5
  __m512 y = _mm512_set1_ps(0.009570101276040077f);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.05591785907745361f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.240247443318367f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.6931217908859253f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.9999992847442627f));
  return _mm512_scalef_ps(y, whole);
}

// What a row has gathered of the blocks before.
struct Row {
  float largest = -std::numeric_limits<float>::infinity();  // m
  float sum = 0;                                            // l
};

// A block's logits of one row to weights; `num_keys` of `width` columns are keys.
HWY_INLINE void soften(Row& row, const float* logits, int64_t num_keys, int64_t width, float factor,
                       uint16_t* weights, float* mixed, int64_t mixed_width) {
  const __m512 c = _mm512_set1_ps(factor),
               none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  __m512 scaled[kKeys / kLanes], most = none;
#pragma GCC unroll 8
  for (int64_t v = 0; v < kKeys / kLanes; ++v) {
    if (v * kLanes >= width) break;
    const auto mask = first_lanes<__mmask16>(num_keys - v * kLanes);
    scaled[v] = _mm512_mask_mul_ps(none, mask, _mm512_load_ps(logits + v * kLanes), c);
    most = _mm512_max_ps(most, scaled[v]);
  }
  const float largest = std::max(row.largest, _mm512_reduce_max_ps(most));
  if (largest > row.largest) {
    const __m512 shrink = exp2_of(_mm512_set1_ps(row.largest - largest));
    row.sum *= _mm512_cvtss_f32(shrink);
    row.largest = largest;
    for (int64_t e = 0; e < mixed_width; e += kLanes)
      _mm512_store_ps(mixed + e, _mm512_mul_ps(_mm512_load_ps(mixed + e), shrink));
  }
  const __m512 shift = _mm512_set1_ps(row.largest);
  __m512 sum = _mm512_setzero_ps();
#pragma GCC unroll 4
  for (int64_t v = 0; v < kKeys / kLanes; v += 2) {
    if (v * kLanes >= width) break;
    const __m512 low = exp2_of(_mm512_sub_ps(scaled[v], shift));
    const __m512 high = exp2_of(_mm512_sub_ps(scaled[v + 1], shift));
    sum = _mm512_add_ps(sum, _mm512_add_ps(low, high));
    _mm512_store_si512(weights + v * kLanes, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
  row.sum += _mm512_reduce_add_ps(sum);
}

inline void store_row(const AttentionHead& head, const float* mixed, float sum, uint16_t* to) {
  const __m512 factor = _mm512_set1_ps(1 / sum);
  for (int64_t e = 0; e < head.head_dim; e += kLanes) {
    const auto bytes =
        (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_load_ps(mixed + e), factor));
    _mm256_mask_storeu_epi16(to + e, first_lanes<__mmask16>(head.head_dim - e), bytes);
  }
}

template <class Products>
void attention_forward(const AttentionHead& head, void* memory) {
  const Scratch s(head, memory);
  const float factor = head.scale * kLog2E;
  const Products products;
  pack_keys(head, s);
  pack_values(head, s);
  for (int64_t begin = 0; begin < head.count; begin += kRows) {
    const int64_t count = std::min(kRows, head.count - begin);
    load_queries(head, s, begin, count);
    std::fill_n(s.mixed, kRows * s.width, 0.0f);
    Row rows[kRows];
    for (int64_t first = 0; first < s.num_keys; first += kKeys) {
      const int64_t width = std::min(kKeys, s.num_keys - first);  // whole steps
      products.template multiply<false>(s.queries, s.depth, s.depth / kStepDepth,
                                        {s.keys + first * s.depth, kLanes * s.depth},
                                        width / kLanes, s.logits, kKeys);
      for (int64_t i = 0; i < count; ++i) {
        soften(rows[i], s.logits + i * kKeys, head.count - first, width, factor,
               s.weights + i * kKeys, s.mixed + i * s.width, s.width);
      }
      products.template multiply<true>(s.weights, kKeys, width / kStepDepth,
                                       {s.values + first * kLanes, kLanes * s.num_keys},
                                       s.width / kLanes, s.mixed, s.width);
    }
    for (int64_t i = 0; i < count; ++i) {
      auto* out = static_cast<uint16_t*>(head.out) + head.rows[begin + i] * head.out_stride;
      store_row(head, s.mixed + i * s.width, rows[i].sum, out);
    }
  }
}

}  // namespace
}  // namespace i1::kernels
