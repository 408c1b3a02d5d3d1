// Attention of one head with products of bfloat16 and sums in float32, forward alone: a block of
// queries meets the keys block by block, and what it has gathered is rescaled where a larger logit
// turns up (Dao et al. 2022, FlashAttention; here no block is skipped and none is recomputed).
//
//   s = q k^T;  m' = max(m, c max s);  p = exp2(c s - m')
//   o = o exp2(m - m') + p [v, 1];  out = o[v] / o[1]      with c = scale log2(e), m in units of c
//   s
//
// The products add up the weights as well, by a channel of ones behind the values. Where the
// lengths of queries and keys bound all logits of the head, as after QK-norm, no largest is looked
// for: m stays 0.
//
// The products are those of the file that includes this, within its target attributes: it defines
// `Products`, whose `step` does a step of a Job. Rows of queries do not meet, so a row's result
// does not depend on its block.
#pragma once

#include <algorithm>
#include <cmath>

#include "i1/kernels/attention_kernels.h"
#include "i1/kernels/bf16_panels-inl.h"

namespace i1::kernels {
namespace {

constexpr int64_t kRows = 32;   // queries in a block
constexpr int64_t kBlocks = 8;  // blocks of queries that meet a block of keys in turn
constexpr int64_t kKeys = 128;  // keys in a block
// How the work on a row is shared out, for what is done beside it.
constexpr int64_t kFindTicks = 1, kSoftenTicks = 5, kAllTicks = kRows * (kFindTicks + kSoftenTicks);
constexpr float kLog2E = 1.4426950408889634f;

// Products of kRows rows with one or two panels of 16 columns, in steps of 32 of the depth:
// out (kRows, 16 or 32) = or += left (kRows, 32 num_steps) right. Strides count values.
struct Job {
  const uint16_t* left;
  int64_t left_stride;
  const uint16_t* right;
  int64_t panel_stride;  // from the one panel to the other
  float* out;
  int64_t out_stride;
  int64_t num_steps;
  bool has_two, is_added;
};

// How scratch is divided; every part begins at a cache line.
struct Scratch {
  Scratch(const AttentionHead& head, void* memory)
      : num_keys(round_up(head.count, kStepDepth)),
        depth(round_up(head.head_dim, kStepDepth)),
        width(round_up(head.head_dim + 1, kLanes)) {
    auto* next = reinterpret_cast<char*>(round_up(reinterpret_cast<int64_t>(memory), kCacheLine));
    const auto take = [&]<class T>(T*& part, int64_t size) {
      part = reinterpret_cast<T*>(next);
      next += round_up(size * static_cast<int64_t>(sizeof(T)), kCacheLine);
    };
    take(keys, num_keys * depth);
    take(values, num_keys * width);
    take(queries, kBlocks * kRows * depth);
    take(logits, 2 * kRows * kKeys);
    take(weights, 2 * kRows * kKeys);
    take(mixed, kBlocks * kRows * width);
    num_bytes = next - static_cast<char*>(memory);
  }

  int64_t num_keys, depth, width, num_bytes;
  uint16_t* keys;     // panels of 16 keys: (num_keys / 16, depth / 2, 16, 2)
  uint16_t* values;   // panels of 16 channels: (width / 16, num_keys / 2, 16, 2)
  uint16_t* queries;  // (kBlocks kRows, depth)
  float* logits;      // (2, kRows, kKeys): of two meetings in turn
  uint16_t* weights;  // (2, kRows, kKeys)
  float* mixed;       // (kBlocks kRows, width): values, at head_dim the sum of the weights
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
  constexpr int16_t kOne = 0x3F80;
  for (int64_t e = 0; e < s.width; e += kLanes) {
    const auto mask = first_lanes<__mmask16>(head.head_dim - e);
    const auto mask_of_one = first_lanes<__mmask16>(head.head_dim + 1 - e) & ~mask;
    const __m256i one = _mm256_maskz_set1_epi16(static_cast<__mmask16>(mask_of_one), kOne);
    const auto load = [&](int64_t i) {
      if (i >= head.count) return _mm512_setzero_si512();
      return _mm512_cvtepu16_epi32(
          _mm256_mask_loadu_epi16(one, mask, row_of(head, head.v, head.v_stride, i) + e));
    };
    uint16_t* panel = s.values + e * s.num_keys;
    for (int64_t i = 0; i < s.num_keys; i += 2)
      _mm512_store_si512(panel + i * kLanes,
                         _mm512_or_si512(load(i), _mm512_slli_epi32(load(i + 1), 16)));
  }
}

inline void load_queries(const AttentionHead& head, const Scratch& s, int64_t begin,
                         int64_t count) {
  for (int64_t i = 0; i < round_up(count, kRows); ++i) {
    for (int64_t d = 0; d < s.depth; d += kStepDepth) {
      const auto mask = first_lanes<__mmask32>(i < count ? head.head_dim - d : 0);
      const uint16_t* row = row_of(head, head.q, head.q_stride, begin + (i < count ? i : 0));
      _mm512_store_si512(s.queries + i * s.depth + d, _mm512_maskz_loadu_epi16(mask, row + d));
    }
  }
}

// 2^r for r from -0.5 to 0.5, to 8e-5 of its value, far below what bfloat16 keeps.
HWY_INLINE __m512 exp2_of_fraction(__m512 r) {
  __m512 y = _mm512_set1_ps(0.0551716648042202f);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.2426111251115799f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.6932609677314758f));
  return _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.9999280571937561f));
}

// 2^x for x <= 0; NaN stays NaN.
HWY_INLINE __m512 exp2_of(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return _mm512_scalef_ps(exp2_of_fraction(_mm512_sub_ps(x, whole)), whole);
}

// 2^(c s) for |c s| up to kMaxExponent, with half as many instructions: a large number added rounds
// to a whole one in the last bits, which then move into the exponent.
constexpr float kMaxExponent = 60;
HWY_INLINE __m512 exp2_of_bounded(__m512 s, __m512 c) {
  const __m512 large = _mm512_set1_ps(0x1.8p23f);
  const __m512 shifted = _mm512_fmadd_ps(s, c, large);
  const __m512 y = exp2_of_fraction(_mm512_fmsub_ps(s, c, _mm512_sub_ps(shifted, large)));
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(y),
                                              _mm512_slli_epi32(_mm512_castps_si512(shifted), 23)));
}

constexpr float kNone = -1e30f;  // the logit of no key: finite, so that differences are numbers

// Two ways to take lanes together.
struct Larger {
  static HWY_INLINE __m512 of(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
};
struct Sum {
  static HWY_INLINE __m512 of(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
};

template <class Join>
HWY_INLINE __m512 join_lines(__m512 a, __m512 b) {
  return Join::of(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}

// From 16 vectors one: its lane i is all lanes of vector i taken together.
template <class Join>
HWY_INLINE __m512 join_lanes(const float (*vectors)[kLanes]) {
  __m512 pairs[8], fours[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const __m512 a = _mm512_load_ps(vectors[2 * i]), b = _mm512_load_ps(vectors[2 * i + 1]);
    pairs[i] = Join::of(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const auto a = _mm512_castps_pd(pairs[2 * i]), b = _mm512_castps_pd(pairs[2 * i + 1]);
    fours[i] = Join::of(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                        _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  return join_lines<Join>(join_lines<Join>(fours[0], fours[1]),
                          join_lines<Join>(fours[2], fours[3]));
}

// The square of the longest row's length; NaN where a value is.
inline float largest_square(const AttentionHead& head, const void* data, int64_t stride) {
  alignas(64) float squares[kLanes][kLanes];
  __m512 largest = _mm512_setzero_ps();
  for (int64_t first = 0; first < head.count; first += kLanes) {
    for (int64_t i = 0; i < kLanes; ++i) {
      const uint16_t* row = row_of(head, data, stride, std::min(first + i, head.count - 1));
      __m512 sum = _mm512_setzero_ps();
      for (int64_t d = 0; d < head.head_dim; d += kStepDepth) {
        const auto x =
            (__m512bh)_mm512_maskz_loadu_epi16(first_lanes<__mmask32>(head.head_dim - d), row + d);
        sum = _mm512_dpbf16_ps(sum, x, x);
      }
      _mm512_store_ps(squares[i], sum);
    }
    const __m512 found = join_lanes<Sum>(squares);
    if (_mm512_cmp_ps_mask(found, found, _CMP_UNORD_Q) != 0) return NAN;
    largest = _mm512_max_ps(largest, found);
  }
  return _mm512_reduce_max_ps(largest);
}

// Whether no |c s| of the head can be above kMaxExponent (Cauchy and Schwarz).
inline bool has_bounded_logits(const AttentionHead& head) {
  const float bound = kMaxExponent / (head.scale * kLog2E);
  return largest_square(head, head.q, head.q_stride) *
             largest_square(head, head.k, head.k_stride) <=
         bound * bound;
}

// What rows have gathered of the blocks before.
struct Rows {
  alignas(64) float largest[kBlocks * kRows];  // m
  alignas(64) float shrink[kBlocks * kRows];   // what the last block makes of what was mixed
};

// The logits of 16 rows with a block of keys.
struct Logits {
  const float* values;      // rows kKeys apart
  int64_t num_keys, width;  // of `width` columns num_keys are keys
  float factor;             // c

  // 16 columns of a row; kIsFull: all of kKeys are keys.
  template <bool kIsFull>
  HWY_INLINE __m512 load(int64_t row, int64_t column) const {
    const float* from = values + row * kKeys + column;
    if (kIsFull) return _mm512_load_ps(from);
    return _mm512_mask_load_ps(_mm512_set1_ps(kNone), first_lanes<__mmask16>(num_keys - column),
                               from);
  }
};

// Moves m of 16 rows to what the block makes it.
template <bool kIsFull, class Beside>
void find_largest(const Logits& logits, float* largest, float* shrink, Beside& beside) {
  alignas(64) float most[kLanes][kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    __m512 x = logits.load<kIsFull>(i, 0);
#pragma GCC unroll 8
    for (int64_t column = kLanes; column < kKeys; column += kLanes) {
      if (!kIsFull && column >= logits.width) break;
      x = _mm512_max_ps(x, logits.load<kIsFull>(i, column));
    }
    _mm512_store_ps(most[i], x);
    beside.tick(kFindTicks);
  }
  const __m512 found = join_lanes<Larger>(most);
  const __m512 before = _mm512_load_ps(largest);
  const __m512 now = _mm512_max_ps(_mm512_mul_ps(found, _mm512_set1_ps(logits.factor)), before);
  const __mmask16 has_grown = _mm512_cmp_ps_mask(now, before, _CMP_GT_OQ);
  _mm512_store_ps(shrink, _mm512_mask_mov_ps(_mm512_set1_ps(1), has_grown,
                                             exp2_of(_mm512_sub_ps(before, now))));
  _mm512_store_ps(largest, now);
}

// Logits of 16 rows to weights.
template <bool kIsFull, bool kIsBounded, class Beside>
void soften(const Logits& logits, const float* largest, uint16_t* weights, Beside& beside) {
  const __m512 c = _mm512_set1_ps(logits.factor);
  for (int64_t i = 0; i < kLanes; ++i) {
    const __m512 shift = _mm512_set1_ps(kIsBounded ? 0 : largest[i]);
    const auto exp2_at = [&](int64_t column) HWY_ATTR {
      // Where there is no key, logits are 0, and the values and the one that they weigh too.
      const __m512 s = logits.load < kIsFull || kIsBounded > (i, column);
      return kIsBounded ? exp2_of_bounded(s, c) : exp2_of(_mm512_fmsub_ps(s, c, shift));
    };
#pragma GCC unroll 4
    for (int64_t column = 0; column < kKeys; column += 2 * kLanes) {
      if (!kIsFull && column >= logits.width) break;
      const __m512 low = exp2_at(column), high = exp2_at(column + kLanes);
      _mm512_store_si512(weights + i * kKeys + column, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    beside.tick(kIsBounded ? kFindTicks + kSoftenTicks : kSoftenTicks);
  }
}

// Of 16 rows, what was mixed.
inline void shrink_rows(const float* shrink, float* mixed, int64_t width) {
  const __m512 all = _mm512_load_ps(shrink);
  if (_mm512_cmp_ps_mask(all, _mm512_set1_ps(1), _CMP_NEQ_UQ) == 0) return;
  for (int64_t i = 0; i < kLanes; ++i) {
    const __m512 factor = _mm512_set1_ps(shrink[i]);
    for (int64_t e = i * width; e < (i + 1) * width; e += kLanes)
      _mm512_store_ps(mixed + e, _mm512_mul_ps(_mm512_load_ps(mixed + e), factor));
  }
}

inline void store_row(const AttentionHead& head, const float* mixed, uint16_t* to) {
  const __m512 factor = _mm512_set1_ps(1 / mixed[head.head_dim]);
  for (int64_t e = 0; e < head.head_dim; e += kLanes) {
    const auto bytes =
        (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_load_ps(mixed + e), factor));
    _mm256_mask_storeu_epi16(to + e, first_lanes<__mmask16>(head.head_dim - e), bytes);
  }
}

// A block of queries with a block of keys.
struct Meeting {
  int64_t row, num_rows;         // of these queries
  int64_t key, num_keys, width;  // width: keys and what fills the last panel
  float* logits;
  uint16_t* weights;
};

// The products that are done beside the softening of a meeting, a step now and then: the logits of
// the next meeting, and the values mixed by the weights of the last. With AMX this takes an eighth
// less time than one after the other; more does not overlap, as vectors of 512 bits multiply at
// half their rate while tiles do.
template <class Products>
class Beside {
 public:
  explicit Beside(const Scratch& scratch) : s_(scratch) {}

  // Null: there is none.
  void start(const Meeting* next, const Meeting* last) {
    next_ = next;
    last_ = last;
    num_logit_jobs_ = next == nullptr ? 0 : (next->width + 2 * kLanes - 1) / (2 * kLanes);
    const int64_t num_mix_jobs = last == nullptr ? 0 : (s_.width + 2 * kLanes - 1) / (2 * kLanes);
    num_left_ = num_logit_jobs_ * (s_.depth / kStepDepth);
    if (last != nullptr) num_left_ += num_mix_jobs * (last->width / kStepDepth);
    num_steps_ = num_left_;
    job_number_ = step_ = due_ = 0;
  }

  // Called along the softening, kAllTicks in sum.
  HWY_INLINE void tick(int64_t ticks) {
    due_ += ticks * num_steps_;
    while (due_ >= kAllTicks && num_left_ > 0) {
      due_ -= kAllTicks;
      step();
    }
  }

  void finish() {
    while (num_left_ > 0) step();
  }

 private:
  HWY_INLINE void step() {
    if (step_ == 0) job_ = job_number_ < num_logit_jobs_ ? logit_job() : mix_job();
    products_.step(job_, step_);
    --num_left_;
    if (++step_ < job_.num_steps) return;
    step_ = 0;
    ++job_number_;
  }

  Job logit_job() const {
    const int64_t column = job_number_ * 2 * kLanes;
    return {.left = s_.queries + next_->row * s_.depth,
            .left_stride = s_.depth,
            .right = s_.keys + (next_->key + column) * s_.depth,
            .panel_stride = kLanes * s_.depth,
            .out = next_->logits + column,
            .out_stride = kKeys,
            .num_steps = s_.depth / kStepDepth,
            .has_two = column + kLanes < next_->width,
            .is_added = false};
  }

  Job mix_job() const {
    const int64_t column = (job_number_ - num_logit_jobs_) * 2 * kLanes;
    return {.left = last_->weights,
            .left_stride = kKeys,
            .right = s_.values + last_->key * kLanes + column * s_.num_keys,
            .panel_stride = kLanes * s_.num_keys,
            .out = s_.mixed + last_->row * s_.width + column,
            .out_stride = s_.width,
            .num_steps = last_->width / kStepDepth,
            .has_two = column + kLanes < s_.width,
            .is_added = true};
  }

  const Scratch& s_;
  const Meeting *next_ = nullptr, *last_ = nullptr;
  int64_t num_logit_jobs_ = 0, num_steps_ = 0, num_left_ = 0;
  int64_t job_number_ = 0, step_ = 0, due_ = 0;
  Job job_{};
  Products products_;
};

// Some blocks of queries and all keys. Every block of keys meets all of these blocks of queries
// while it is in the cache. Three meetings are in work at a time (Beside).
template <class Products, bool kIsBounded>
class Queries {
 public:
  Queries(const AttentionHead& head, const Scratch& scratch, int64_t begin)
      : head_(head),
        s_(scratch),
        begin_(begin),
        count_(std::min(kBlocks * kRows, head.count - begin)),
        num_blocks_((count_ + kRows - 1) / kRows),
        beside_(scratch) {}

  void run() {
    load_queries(head_, s_, begin_, count_);
    std::fill_n(s_.mixed, num_blocks_ * kRows * s_.width, 0.0f);
    std::fill(std::begin(rows_.largest), std::end(rows_.largest), kNone);
    const int64_t num_meetings = (s_.num_keys + kKeys - 1) / kKeys * num_blocks_;
    Meeting last{}, now = meeting(0), next{};
    beside_.start(&now, nullptr);
    beside_.finish();
    for (int64_t i = 0; i < num_meetings; ++i) {
      const bool has_next = i + 1 < num_meetings;
      if (has_next) next = meeting(i + 1);
      beside_.start(has_next ? &next : nullptr, i > 0 ? &last : nullptr);
      now.num_keys == kKeys ? soften_rows<true>(now) : soften_rows<false>(now);
      beside_.finish();
      for (int64_t row = now.row; !kIsBounded && row < now.row + now.num_rows; row += kLanes)
        shrink_rows(rows_.shrink + row, s_.mixed + row * s_.width, s_.width);
      last = now;
      now = next;
    }
    beside_.start(nullptr, &last);
    beside_.finish();
    for (int64_t i = 0; i < count_; ++i) {
      auto* out = static_cast<uint16_t*>(head_.out) + head_.rows[begin_ + i] * head_.out_stride;
      store_row(head_, s_.mixed + i * s_.width, out);
    }
  }

 private:
  Meeting meeting(int64_t i) const {
    const int64_t row = i % num_blocks_ * kRows, key = i / num_blocks_ * kKeys;
    const int64_t buffer = i % 2 * kRows * kKeys;
    return {.row = row,
            .num_rows = std::min(kRows, count_ - row),
            .key = key,
            .num_keys = std::min(kKeys, head_.count - key),
            .width = std::min(kKeys, s_.num_keys - key),
            .logits = s_.logits + buffer,
            .weights = s_.weights + buffer};
  }

  template <bool kIsFull>
  void soften_rows(const Meeting& m) {
    for (int64_t first = 0; first < m.num_rows; first += kLanes) {
      const Logits logits{m.logits + first * kKeys, m.num_keys, m.width, head_.scale * kLog2E};
      const int64_t row = m.row + first;
      if (!kIsBounded)
        find_largest<kIsFull>(logits, rows_.largest + row, rows_.shrink + row, beside_);
      soften<kIsFull, kIsBounded>(logits, rows_.largest + row, m.weights + first * kKeys, beside_);
    }
  }

  const AttentionHead& head_;
  const Scratch& s_;
  int64_t begin_, count_, num_blocks_;
  Rows rows_;
  Beside<Products> beside_;
};

template <class Products, bool kIsBounded>
void attend(const AttentionHead& head, const Scratch& scratch) {
  for (int64_t begin = 0; begin < head.count; begin += kBlocks * kRows)
    Queries<Products, kIsBounded>(head, scratch, begin).run();
}

template <class Products>
void attention_forward(const AttentionHead& head, void* memory) {
  const Scratch scratch(head, memory);
  pack_keys(head, scratch);
  pack_values(head, scratch);
  has_bounded_logits(head) ? attend<Products, true>(head, scratch)
                           : attend<Products, false>(head, scratch);
}

}  // namespace
}  // namespace i1::kernels
