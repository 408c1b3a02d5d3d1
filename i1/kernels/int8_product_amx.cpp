// The int8 product by the tiles of AMX: TDPBSUD multiplies 16 rows of 64 bytes of x, signed, by the
// 64 bytes of 16 columns of weights, unsigned, and adds to 16 x 16 exact sums. Panels of weights
// lie as it reads them. Results equal those of int8_product_vnni.cpp bit by bit.
//
// Four tiles of sums are 32 rows by one panel. At the end of a block they go to memory, where 128
// times the sum of the row of x, which the weights' offset of 128 added, is taken off again. The
// next panel is fetched while one is in use.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "i1/kernels/amx.h"
#include "i1/kernels/int8_linear_kernels.h"
#include "i1/kernels/x86_intrinsics.h"

#if I1_HAS_AMX

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-int8")
#include "i1/kernels/amx-inl.h"
#include "i1/kernels/int8_product_avx512-inl.h"

namespace i1::kernels {
namespace {

constexpr int64_t kTileDepth = kRowPadding, kTileGroups = kTileDepth / kGroupDepth;
constexpr int64_t kPanelStride = kPanelColumns * kGroupDepth;  // bytes from a group to the next
constexpr int64_t kCacheBytes = 768 << 10;

template <int kSums, int kX, int kWeights>
void add_products() {
  asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kX), "i"(kWeights));
}

// A panel's last groups where they do not fill a tile, and zeros behind them.
struct Tail {
  Tail(const Int8Product& a, int64_t panel) {
    const int64_t first = a.groups / kTileGroups * kTileGroups, count = a.groups - first;
    const uint8_t* from = a.panels + (panel * a.groups + first) * kPanelStride;
    std::memcpy(weights, from, static_cast<size_t>(count * kPanelStride));
    std::memset(weights + count * kPanelStride, 0,
                static_cast<size_t>((kTileGroups - count) * kPanelStride));
  }

  alignas(64) uint8_t weights[kTileGroups * kPanelStride];
};

// What is fetched meanwhile: some lines at each step of 64 of the depth, and of y a row.
struct Ahead {
  const uint8_t* lines;
  int64_t num_lines;  // at a step
  char* y;
  int64_t y_bytes, num_rows;  // from a row to the next; the rows there are

  HWY_INLINE void fetch(int64_t step) const {
    for (int64_t i = 0; i < num_lines; ++i)
      _mm_prefetch(lines + (step * num_lines + i) * kLineBytes, _MM_HINT_T1);
    if (step < num_rows) prefetch_to_write(y + step * y_bytes);
  }

  static constexpr int64_t kLineBytes = 64;
};

// The tiles of sums over [begin, end) of the depth.
template <bool kHasLower>
void add_block(const Int8Product& a, const int8_t* x, const uint8_t* panel, const Tail& tail,
               const Ahead& ahead, int64_t begin, int64_t end) {
  const int64_t depth = a.groups * kGroupDepth, stride = padded_depth(depth);
  zero_tile<kUpperLeft>();
  zero_tile<kUpperRight>();
  if constexpr (kHasLower) zero_tile<kLowerLeft>();
  if constexpr (kHasLower) zero_tile<kLowerRight>();
  for (int64_t d = begin; d < end; d += kTileDepth) {
    ahead.fetch(d / kTileDepth);
    const uint8_t* w = d + kTileDepth <= depth ? panel + d * kPanelColumns : tail.weights;
    load_tile<kLeft>(w, kPanelStride);
    load_tile<kUpper>(x + d, stride);
    add_products<kUpperLeft, kUpper, kLeft>();
    load_tile<kRight>(w + kPanelStride / 2, kPanelStride);
    add_products<kUpperRight, kUpper, kRight>();
    keep_vectors_awake();
    if constexpr (!kHasLower) continue;
    load_tile<kLower>(x + kTileRows * stride + d, stride);
    add_products<kLowerLeft, kLower, kLeft>();
    add_products<kLowerRight, kLower, kRight>();
  }
}

// 32 results of a row, rounded to y.
void store_row(float* y, __m512 low, __m512 high, __mmask32 mask) {
  _mm512_mask_storeu_ps(y, static_cast<__mmask16>(mask), low);
  _mm512_mask_storeu_ps(y + kLanes, static_cast<__mmask16>(mask >> 16), high);
}
void store_row(uint16_t* y, __m512 low, __m512 high, __mmask32 mask) {
  _mm512_mask_storeu_epi16(y, mask, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

// Rows [row, row + num_rows), up to two tiles of them, of one panel.
template <class T, bool kHasLower>
void tile(const Int8Product& a, int64_t row, int64_t num_rows, int64_t panel, const Tail& tail,
          const Ahead& ahead) {
  const int64_t depth = a.groups * kGroupDepth,
                num_blocks = kernels::num_blocks(depth, a.block_depth);
  const int8_t* x = a.x + row * padded_depth(depth);
  const int64_t column = panel * kPanelColumns;
  const Columns<T> left(a, column), right(a, column + kLanes);
  const auto mask = first_lanes<__mmask32>(a.F - column);
  T* y = static_cast<T*>(a.y) + row * a.y_stride + column;
  alignas(64) int32_t sums[2 * kTileRows][kPanelColumns];
  alignas(64) float totals[2 * kTileRows][kPanelColumns];
  for (int64_t block = 0; block < num_blocks; ++block) {
    const int64_t begin = block * a.block_depth;
    add_block<kHasLower>(a, x, a.panels + panel * kPanelColumns * depth, tail, ahead, begin,
                         std::min(depth, begin + a.block_depth));
    store_tile<kUpperLeft>(sums[0], sizeof sums[0]);
    store_tile<kUpperRight>(sums[0] + kLanes, sizeof sums[0]);
    if constexpr (kHasLower) store_tile<kLowerLeft>(sums[kTileRows], sizeof sums[0]);
    if constexpr (kHasLower) store_tile<kLowerRight>(sums[kTileRows] + kLanes, sizeof sums[0]);
    for (int64_t r = 0; r < num_rows; ++r) {
      const int64_t at = (row + r) * num_blocks + block;
      const __m512i offset = _mm512_set1_epi32(128 * a.x_sum[at]);
      const auto total = [&](int64_t c) HWY_ATTR {
        const __m512i exact = _mm512_sub_epi32(_mm512_load_si512(sums[r] + c), offset);
        const __m512 before = block == 0 ? _mm512_setzero_ps() : _mm512_load_ps(totals[r] + c);
        return kernels::add_block(exact, a.x_scale[at], before);
      };
      const __m512 low = total(0), high = total(kLanes);
      if (block + 1 < num_blocks) {
        _mm512_store_ps(totals[r], low);
        _mm512_store_ps(totals[r] + kLanes, high);
      } else {
        store_row(y + r * a.y_stride, left.of(low), right.of(high), mask);
      }
    }
  }
}

template <class T>
void product(const Int8Product& a, int64_t begin, int64_t end) {
  const int64_t row_bytes = std::max<int64_t>(1, padded_depth(a.groups * kGroupDepth));
  const int64_t fit = kCacheBytes / row_bytes / (2 * kTileRows);
  const int64_t block = std::max<int64_t>(1, fit) * 2 * kTileRows;
  const int64_t panel_bytes = a.groups * kPanelStride, num_steps = row_bytes / kTileDepth;
  Tiles tiles;
  for (int64_t first = 0; first < a.rows; first += block) {
    const int64_t last = std::min(a.rows, first + block);
    const int64_t num_pieces = num_steps * ((last - first + 2 * kTileRows - 1) / (2 * kTileRows));
    const int64_t lines = panel_bytes / (num_pieces * Ahead::kLineBytes);
    for (int64_t panel = begin; panel < end; ++panel) {
      const Tail tail(a, panel);
      const uint8_t* next = a.panels + std::min(panel + 1, end - 1) * panel_bytes;
      for (int64_t row = first; row < last; row += 2 * kTileRows) {
        const int64_t num_rows = std::min(2 * kTileRows, last - row);
        T* y = static_cast<T*>(a.y) + row * a.y_stride + panel * kPanelColumns;
        const Ahead ahead{next, lines, reinterpret_cast<char*>(y),
                          a.y_stride * static_cast<int64_t>(sizeof(T)), num_rows};
        tiles.shape_for(num_rows);
        num_rows > kTileRows ? tile<T, true>(a, row, num_rows, panel, tail, ahead)
                             : tile<T, false>(a, row, num_rows, panel, tail, ahead);
        next += num_steps * lines * Ahead::kLineBytes;
      }
    }
  }
}

}  // namespace

void int8_product_amx(const Int8Product& op, int64_t begin, int64_t end) {
  op.element == Element::kFloat ? product<float>(op, begin, end)
                                : product<uint16_t>(op, begin, end);
}

}  // namespace i1::kernels
HWY_POP_ATTRIBUTES

#else

void i1::kernels::int8_product_amx(const Int8Product&, int64_t, int64_t) {}

#endif
