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

// A step's share of the weights that will be read next: rows [begin, end) of their column.
struct Ahead {
  const uint16_t* weight;
  int64_t begin, end;
};

// Values between two rows of weights, and from a panel to the next.
struct Strides {
  int64_t weight, panel;
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

// What of the product is computed: panels [first, last) over [begin, end) of the depth.
struct Part {
  int64_t first, last, begin, end;
};

// A part of a block of outputs. `sums`: of its pairs of panels. `next`: the block after it.
template <bool kHasLower, bool kIsFirst>
void multiply_part(const LinearBfloat16& a, int64_t output, int64_t next, const Part& part,
                   Sums* sums) {
  const auto weights_of = [&](int64_t row) {
    return a.weight + row * a.weight_stride + part.begin;
  };
  const Strides strides{a.weight_stride, kLanes * a.depth};
  const int64_t depth = part.end - part.begin, num_pairs = (part.last - part.first + 1) / 2;
  for (int64_t pair = 0; pair < num_pairs; ++pair) {
    const int64_t p = part.first + 2 * pair;
    const Ahead ahead{weights_of(next), kLinearBlockOutputs * pair / num_pairs,
                      kLinearBlockOutputs * (pair + 1) / num_pairs};
    const uint16_t* panel = a.panels + p * strides.panel + part.begin * kLanes;
    const bool has_right = p + 1 < part.last;
    const auto run =
        has_right ? multiply<kHasLower, true, kIsFirst> : multiply<kHasLower, false, kIsFirst>;
    run(weights_of(output), panel, depth, strides, ahead, sums[pair]);
    if (part.end < a.depth) continue;
    store_rows(a, sums[pair], 0, p * kLanes, output);
    if (has_right) store_rows(a, sums[pair], kLanes, (p + 1) * kLanes, output);
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
  const std::unique_ptr<Sums[]> sums(new Sums[num_pairs * (has_parts ? end - begin : 1)]);
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
