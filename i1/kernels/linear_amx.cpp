// Linear layers in bfloat16 by the tiles of AMX. What a tile takes as its left factor is plain
// rows; its right factor must be packed. The weights are the left one, so they are read as their
// file has them, and the rows of x, which are far fewer bytes, are packed: y^T = W x^T. Tiles of
// y^T are turned on their way to y.
//
// Rows go chunk by chunk, as many as stay in the second-level cache, and every chunk reads all
// weights, the next ones being fetched while these are in use. So that a chunk has many rows, a
// long depth is cut into parts; between two parts the sums wait in memory, as they are.
#include <hwy/highway.h>

#include <algorithm>
#include <memory>

#include "i1/kernels/amx.h"
#include "i1/kernels/linear_kernels.h"
#include "i1/kernels/x86_intrinsics.h"

#if I1_HAS_AMX

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")
#include "i1/kernels/amx-inl.h"
#include "i1/kernels/bf16_panels-inl.h"

namespace i1::kernels {
namespace {

// Measured on Sapphire Rapids' successor at the widths of XL and i1-3B: a chunk's panels, and the
// longest part of the depth.
constexpr int64_t kCacheBytes = 768 << 10, kLongestPart = 2048;
// 32 weights of this depth stay in the first-level cache from one pair of panels to the next, which
// is worth two parts, and not more.
constexpr int64_t kShortPart = 672;
constexpr int64_t kTileValues = kLanes * kStepDepth;

template <int kSums, int kWeights, int kRows>
void add_products() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kWeights), "i"(kRows));
}

// Sums of y^T, (32 outputs, 32 rows).
struct Sums {
  alignas(64) float values[kLinearBlockOutputs][2 * kLinearPanelRows];
};

template <int kSums, bool kIsFirst>
void begin_sums(const float* sums, int64_t stride) {
  if constexpr (kIsFirst) {
    zero_tile<kSums>();
  } else {
    load_tile<kSums>(sums, stride);
  }
}

// What is fetched meanwhile, a share at each step: of the weights that will be read next rows
// [begin, end) of the step's column; of y the rows that these products are for, one at a step.
struct Ahead {
  const uint16_t* weight;
  int64_t begin, end;
  uint16_t* y;
  int64_t num_rows;  // of y
};

// Values between two rows of weights, from a panel to the next, and between two rows of y.
struct Strides {
  int64_t weight, panel, y;
};

// Adds to the sums, or where kIsFirst sets them to, the products over `depth` of up to 32 outputs
// from `weight` on with one or two panels.
template <bool kHasLower, bool kHasRight, bool kIsFirst>
void multiply(const uint16_t* weight, const uint16_t* panel, int64_t depth, const Strides& strides,
              const Ahead& ahead, Sums& sums) {
  constexpr int64_t kSumsBytes = sizeof sums.values[0];
  float *const upper = sums.values[0], *const lower = sums.values[kTileRows];
  begin_sums<kUpperLeft, kIsFirst>(upper, kSumsBytes);
  if constexpr (kHasRight) begin_sums<kUpperRight, kIsFirst>(upper + kLanes, kSumsBytes);
  if constexpr (kHasLower) begin_sums<kLowerLeft, kIsFirst>(lower, kSumsBytes);
  if constexpr (kHasLower && kHasRight)
    begin_sums<kLowerRight, kIsFirst>(lower + kLanes, kSumsBytes);
  if constexpr (!kHasLower && kIsFirst)
    std::fill(lower, std::end(sums.values[kTileRows * 2 - 1]), 0);
  const int64_t weight_bytes = strides.weight * 2;
  for (int64_t d = 0; d < depth; d += kStepDepth) {
    for (int64_t i = ahead.begin; i < ahead.end; ++i)
      _mm_prefetch(ahead.weight + i * strides.weight + d, _MM_HINT_T1);
    if (const int64_t step = d / kStepDepth; step < ahead.num_rows)
      prefetch_to_write(ahead.y + step * strides.y);
    const uint16_t* rows = panel + d / kStepDepth * kTileValues;
    load_passing_tile<kLeft>(rows, kCacheLine);
    load_tile<kUpper>(weight + d, weight_bytes);
    add_products<kUpperLeft, kUpper, kLeft>();
    if constexpr (kHasLower)
      load_tile<kLower>(weight + kTileRows * strides.weight + d, weight_bytes);
    if constexpr (kHasLower) add_products<kLowerLeft, kLower, kLeft>();
    if constexpr (kHasRight) load_passing_tile<kRight>(rows + strides.panel, kCacheLine);
    if constexpr (kHasRight) add_products<kUpperRight, kUpper, kRight>();
    if constexpr (kHasLower && kHasRight) add_products<kLowerRight, kLower, kRight>();
    keep_vectors_awake();
  }
  store_tile<kUpperLeft>(upper, kSumsBytes);
  if constexpr (kHasRight) store_tile<kUpperRight>(upper + kLanes, kSumsBytes);
  if constexpr (kHasLower) store_tile<kLowerLeft>(lower, kSumsBytes);
  if constexpr (kHasLower && kHasRight) store_tile<kLowerRight>(lower + kLanes, kSumsBytes);
}

// The biases of a block of outputs; zeros where there is none.
struct Biases {
  Biases(const LinearBfloat16& a, int64_t output) {
    for (int64_t first = 0; first < kLinearBlockOutputs; first += kLanes) {
      const auto mask = first_lanes<__mmask16>(a.out - output - first);
      _mm512_store_ps(values + first, a.bias == nullptr ? _mm512_setzero_ps()
                                                        : load(a.bias + output + first, mask));
    }
  }

  alignas(64) float values[kLinearBlockOutputs];
};

// 16 rows of y from the columns of sums that begin at `column`: outputs [output, output + 32) of
// rows [row, row + 16), as far as they are there. Rounded first, two outputs at a time, so that a
// single block of pairs is turned.
void store_rows(const LinearBfloat16& a, const Sums& sums, const Biases& biases, int64_t column,
                int64_t row, int64_t output) {
  // Lane i of the lower half beside lane i of the upper one.
  const __m512i zipped =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                       21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const auto sums_of = [&](int64_t i) HWY_ATTR {
    return _mm512_add_ps(_mm512_load_ps(sums.values[i] + column), _mm512_set1_ps(biases.values[i]));
  };
  __m512i pairs[kLanes];  // [i]: outputs 2 i and 2 i + 1 of 16 rows; then 32 outputs of row i
#pragma GCC unroll 16
  for (int64_t i = 0; i < kLanes; ++i) {
    const auto rounded = (__m512i)_mm512_cvtne2ps_pbh(sums_of(2 * i + 1), sums_of(2 * i));
    pairs[i] = _mm512_permutexvar_epi16(zipped, rounded);
  }
  transpose(pairs);
  const auto mask = first_lanes<__mmask32>(a.out - output);
  const int64_t count = std::min(kLanes, a.rows - row);
  for (int64_t i = 0; i < count; ++i)
    _mm512_mask_storeu_epi16(a.y + (row + i) * a.y_stride + output, mask, pairs[i]);
}

// What of the product is computed: panels [first, last) over [begin, end) of the depth.
struct Part {
  int64_t first, last, begin, end;
};

// A part of a block of outputs. `sums`: of its pairs of panels where they wait for another part,
// else two, taken in turn, so that they stay in the cache. `next`: the block after it.
template <bool kHasLower, bool kIsFirst>
void multiply_part(const LinearBfloat16& a, int64_t output, int64_t next, const Part& part,
                   Sums* sums) {
  const auto weights_of = [&](int64_t row) {
    return a.weight + row * a.weight_stride + part.begin;
  };
  const Strides strides{a.weight_stride, kLanes * a.depth, a.y_stride};
  const Biases biases(a, output);
  const bool is_last = part.end == a.depth, is_whole = kIsFirst && is_last;
  const int64_t depth = part.end - part.begin, num_pairs = (part.last - part.first + 1) / 2;
  for (int64_t pair = 0; pair < num_pairs; ++pair) {
    const int64_t p = part.first + 2 * pair, row = p * kLanes;
    const Ahead ahead{.weight = weights_of(next),
                      .begin = kLinearBlockOutputs * pair / num_pairs,
                      .end = kLinearBlockOutputs * (pair + 1) / num_pairs,
                      .y = a.y + row * a.y_stride + output,
                      .num_rows = is_last ? std::min(2 * kLinearPanelRows, a.rows - row) : 0};
    Sums& those = sums[is_whole ? pair % 2 : pair];
    const uint16_t* panel = a.panels + p * strides.panel + part.begin * kLanes;
    const bool has_right = p + 1 < part.last;
    const auto run =
        has_right ? multiply<kHasLower, true, kIsFirst> : multiply<kHasLower, false, kIsFirst>;
    run(weights_of(output), panel, depth, strides, ahead, those);
    if (!is_last) continue;
    store_rows(a, those, biases, 0, row, output);
    if (has_right) store_rows(a, those, biases, kLanes, row + kLanes, output);
  }
}

void multiply_block(const LinearBfloat16& a, int64_t output, int64_t next, const Part& part,
                    Sums* sums) {
  const bool has_lower = a.out - output > kTileRows;
  const int64_t depth = part.end - part.begin;
  const int64_t size = depth <= 2 * kShortPart ? kShortPart : depth;
  for (int64_t d = part.begin; d < part.end; d += size) {
    const auto run = d == 0
                         ? (has_lower ? multiply_part<true, true> : multiply_part<false, true>)
                         : (has_lower ? multiply_part<true, false> : multiply_part<false, false>);
    run(a, output, next, {part.first, part.last, d, std::min(part.end, d + size)}, sums);
  }
}

// The size of equal parts of n, in units, none above `largest`.
int64_t size_of_parts(int64_t n, int64_t largest, int64_t unit) {
  const int64_t num_parts = std::max<int64_t>(1, (n + largest - 1) / std::max(largest, unit));
  return std::max(unit, round_up((n + num_parts - 1) / num_parts, unit));
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
  const int64_t depth = size_of_parts(a.depth, kLongestPart, kStepDepth);
  const int64_t chunk = size_of_parts(num_panels, kCacheBytes / (kLanes * depth * 2), 2);
  const int64_t num_pairs = chunk / 2;
  const bool has_parts = depth < a.depth;
  const std::unique_ptr<Sums[]> sums(
      new Sums[std::max<int64_t>(2, num_pairs) * (has_parts ? end - begin : 1)]);
  Tiles tiles;
  for (int64_t first = 0; first < num_panels; first += chunk) {
    for (int64_t d = 0; d < a.depth; d += depth) {
      const Part part{first, std::min(num_panels, first + chunk), d, std::min(a.depth, d + depth)};
      for (int64_t block = begin; block < end; ++block) {
        const int64_t output = block * kLinearBlockOutputs;
        const int64_t next = block + 1 < end ? output + kLinearBlockOutputs : output;
        tiles.shape_for(std::min(kLinearBlockOutputs, a.out - output));
        multiply_block(a, output, next, part, &sums[has_parts ? (block - begin) * num_pairs : 0]);
      }
    }
  }
}

}  // namespace i1::kernels
HWY_POP_ATTRIBUTES

#else

void i1::kernels::pack_rows_amx(const PackRows&, int64_t, int64_t) {}
void i1::kernels::linear_amx(const LinearBfloat16&, int64_t, int64_t) {}

#endif
