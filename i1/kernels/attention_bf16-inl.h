// Attention of one head with products of bfloat16 and sums in float32, forward alone: a block of
// queries meets the keys block by block, and what it has gathered is rescaled where a larger logit
// turns up (Dao et al. 2022, FlashAttention; here no block is skipped and none is recomputed).
//
//   s = q k^T;  m' = max(m, c max s);  p = exp2(c s - m');  l = l exp2(m - m') + sum p
//   o = o exp2(m - m') + p v;  out = o / l          with c = scale log2(e), m in units of c s
//
// The products are those of the file that includes this, within its target attributes: it defines
// `Products`, whose `multiply` adds to or sets 32 rows by a pair of panels of 16 columns. Rows of
// queries do not meet, so a row's result does not depend on its block.
#pragma once

#include <algorithm>

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
    take(logits, 2 * kRows * kKeys);
    take(weights, 2 * kRows * kKeys);
    take(mixed, kRows * width);
    num_bytes = next - static_cast<char*>(memory);
  }

  int64_t num_keys, depth, width, num_bytes;
  uint16_t* keys;     // panels of 16 keys: (num_keys / 16, depth / 2, 16, 2)
  uint16_t* values;   // panels of 16 channels: (width / 16, num_keys / 2, 16, 2)
  uint16_t* queries;  // (kRows, depth)
  float* logits;      // (2, kRows, kKeys): of two blocks of keys in turn
  uint16_t* weights;  // (2, kRows, kKeys)
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

// 2^x for x <= 0 to 8e-5 of its value, far below what bfloat16 keeps; NaN stays NaN.
HWY_INLINE __m512 exp2_of(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(x, whole);  // -0.5 to 0.5
  __m512 y = _mm512_set1_ps(0.0551716648042202f);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.2426111251115799f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.6932609677314758f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.9999280571937561f));
  return _mm512_scalef_ps(y, whole);
}

constexpr float kNone = -1e30f;  // the logit of no key: finite, so that differences are numbers

// What a row has gathered of the blocks before.
struct Row {
  float largest = kNone;  // m
  float sum = 0;          // l
  float shrink = 1;       // what the last block makes of what the blocks before have mixed
};

// A block's logits of one row to weights; `num_keys` of `width` columns are keys. kIsFull: all of
// kKeys are.
template <bool kIsFull>
HWY_INLINE void soften(Row& row, const float* logits, int64_t num_keys, int64_t width, float factor,
                       uint16_t* weights) {
  constexpr int64_t kVectors = kKeys / kLanes;
  __m512 x[kVectors], most = _mm512_set1_ps(kNone);
#pragma GCC unroll 8
  for (int64_t v = 0; v < kVectors; ++v) {
    if (!kIsFull && v * kLanes >= width) break;
    x[v] = _mm512_load_ps(logits + v * kLanes);
    if (!kIsFull) {
      const auto mask = first_lanes<__mmask16>(num_keys - v * kLanes);
      x[v] = _mm512_mask_mov_ps(_mm512_set1_ps(kNone), mask, x[v]);
    }
    most = _mm512_max_ps(most, x[v]);
  }
  const float largest = std::max(row.largest, _mm512_reduce_max_ps(most) * factor);
  row.shrink = 1;
  if (largest > row.largest) {
    row.shrink = _mm512_cvtss_f32(exp2_of(_mm512_set1_ps(row.largest - largest)));
    row.largest = largest;
  }
  const __m512 c = _mm512_set1_ps(factor), shift = _mm512_set1_ps(row.largest);
  __m512 sum = _mm512_setzero_ps();
#pragma GCC unroll 4
  for (int64_t v = 0; v < kVectors; v += 2) {
    if (!kIsFull && v * kLanes >= width) break;
    const __m512 low = exp2_of(_mm512_fmsub_ps(x[v], c, shift));
    const __m512 high = exp2_of(_mm512_fmsub_ps(x[v + 1], c, shift));
    sum = _mm512_add_ps(sum, _mm512_add_ps(low, high));
    _mm512_store_si512(weights + v * kLanes, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
  row.sum = row.sum * row.shrink + _mm512_reduce_add_ps(sum);
}

HWY_INLINE void shrink_row(float shrink, float* mixed, int64_t width) {
  if (shrink == 1) return;
  const __m512 factor = _mm512_set1_ps(shrink);
  for (int64_t e = 0; e < width; e += kLanes)
    _mm512_store_ps(mixed + e, _mm512_mul_ps(_mm512_load_ps(mixed + e), factor));
}

inline void store_row(const AttentionHead& head, const float* mixed, float sum, uint16_t* to) {
  const __m512 factor = _mm512_set1_ps(1 / sum);
  for (int64_t e = 0; e < head.head_dim; e += kLanes) {
    const auto bytes =
        (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_load_ps(mixed + e), factor));
    _mm256_mask_storeu_epi16(to + e, first_lanes<__mmask16>(head.head_dim - e), bytes);
  }
}

// The blocks of keys of one block of queries. Two blocks are in work beside the one that is
// softened, the products of the next one's logits and of the last one's weights, so that the
// processor finds products to do under the exponentials; parts alternate.
template <class Products>
class QueryBlock {
 public:
  QueryBlock(const AttentionHead& head, const Scratch& scratch, int64_t begin)
      : head_(head), s_(scratch), begin_(begin), count_(std::min(kRows, head.count - begin)) {}

  void run() {
    load_queries(head_, s_, begin_, count_);
    std::fill_n(s_.mixed, kRows * s_.width, 0.0f);
    const int64_t num_blocks = (s_.num_keys + kKeys - 1) / kKeys;
    for (int64_t part = 0; part < kParts; ++part) score(0, part);
    for (int64_t block = 0; block < num_blocks; ++block) {
      for (int64_t part = 0; part < kParts; ++part) {
        soften_part(block, part);
        if (block + 1 < num_blocks) score(block + 1, part);
        if (block > 0) mix(block - 1, part);
      }
      for (int64_t i = 0; i < count_; ++i)
        shrink_row(rows_[i].shrink, s_.mixed + i * s_.width, s_.width);
    }
    for (int64_t part = 0; part < kParts; ++part) mix(num_blocks - 1, part);
    for (int64_t i = 0; i < count_; ++i) {
      auto* out = static_cast<uint16_t*>(head_.out) + head_.rows[begin_ + i] * head_.out_stride;
      store_row(head_, s_.mixed + i * s_.width, rows_[i].sum, out);
    }
  }

 private:
  static constexpr int64_t kParts = kKeys / (2 * kLanes);  // pairs of panels of logits

  int64_t width_of(int64_t block) const { return std::min(kKeys, s_.num_keys - block * kKeys); }
  float* logits_of(int64_t block) const { return s_.logits + block % 2 * kRows * kKeys; }
  uint16_t* weights_of(int64_t block) const { return s_.weights + block % 2 * kRows * kKeys; }

  // Logits of a pair of panels.
  void score(int64_t block, int64_t part) {
    const Panels keys{s_.keys + block * kKeys * s_.depth, kLanes * s_.depth};
    products_.template multiply<false>(s_.queries, s_.depth, s_.depth / kStepDepth, keys, 2 * part,
                                       width_of(block) / kLanes, logits_of(block), kKeys);
  }

  // A part of the rows.
  void soften_part(int64_t block, int64_t part) {
    const int64_t num_keys = head_.count - block * kKeys, width = width_of(block);
    const float factor = head_.scale * kLog2E;
    const int64_t end = std::min(count_, (part + 1) * kRows / kParts);
    for (int64_t i = part * kRows / kParts; i < end; ++i) {
      const float* logits = logits_of(block) + i * kKeys;
      uint16_t* weights = weights_of(block) + i * kKeys;
      num_keys >= kKeys ? soften<true>(rows_[i], logits, num_keys, width, factor, weights)
                        : soften<false>(rows_[i], logits, num_keys, width, factor, weights);
    }
  }

  // Adds a block's values, weighted: pairs of panels, each part its share.
  void mix(int64_t block, int64_t part) {
    const Panels values{s_.values + block * kKeys * kLanes, kLanes * s_.num_keys};
    for (int64_t panel = 2 * part; panel < s_.width / kLanes; panel += 2 * kParts)
      products_.template multiply<true>(weights_of(block), kKeys, width_of(block) / kStepDepth,
                                        values, panel, s_.width / kLanes, s_.mixed, s_.width);
  }

  const AttentionHead& head_;
  const Scratch& s_;
  int64_t begin_, count_;
  Row rows_[kRows];
  Products products_;
};

template <class Products>
void attention_forward(const AttentionHead& head, void* memory) {
  const Scratch scratch(head, memory);
  pack_keys(head, scratch);
  pack_values(head, scratch);
  for (int64_t begin = 0; begin < head.count; begin += kRows)
    QueryBlock<Products>(head, scratch, begin).run();
}

}  // namespace
}  // namespace i1::kernels
