// The int8 product by the instruction VPDPBUSD, which adds four products of an unsigned and a
// signed byte to each of 16 sums. Weights are the unsigned ones, w + 128; what that adds to a sum,
// 128 times the sum of the row of x, is where the sum starts from, so it costs nothing.
//
// A tile is 12 rows by one panel of 32 columns: 24 registers of sums, 2 of weights, and the bytes
// of x broadcast from memory. At the end of a block the sums, which are exact, are multiplied by
// its factor and added up in float32. Rows are taken in blocks that stay in the second-level cache
// while the panels go by.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "i1/kernels/int8_linear_kernels.h"
#include "i1/kernels/x86_intrinsics.h"

#if HWY_ARCH_X86

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "i1/kernels/int8_product_avx512-inl.h"

namespace i1::kernels {
namespace {

constexpr int kTileRows = 12;
constexpr int64_t kCacheBytes = 384 << 10;

// The sum with the four products of each lane. Not by the intrinsic: GCC 12 copies every sum around
// it, which takes twice the time.
HWY_INLINE __m512i add_products(__m512i sum, __m512i unsigned_bytes, __m512i signed_bytes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(unsigned_bytes), "v"(signed_bytes));
  return sum;
}

template <class T, int R>
HWY_INLINE void finish(const Int8Product& a, int64_t row, int64_t column, const __m512 (&sums)[R]) {
  if (column >= a.F) return;
  const Columns<T> columns(a, column);
  T* y = static_cast<T*>(a.y) + row * a.y_stride + column;
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) columns.finish(sums[r], y + r * a.y_stride);
}

template <class T, int R>
void tile(const Int8Product& a, int64_t row, int64_t panel) {
  const int64_t depth = a.groups * kGroupDepth, stride = padded_depth(depth),
                num_blocks = kernels::num_blocks(depth, a.block_depth);
  const int8_t* x = a.x + row * stride;
  const uint8_t* w = a.panels + panel * kPanelColumns * depth;
  const float* x_scale = a.x_scale + row * num_blocks;
  const int32_t* x_sum = a.x_sum + row * num_blocks;
  __m512 left[R], right[R];  // 16 columns each
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) left[r] = right[r] = _mm512_setzero_ps();
  for (int64_t block = 0; block < num_blocks; ++block) {
    __m512i left_sum[R], right_sum[R];
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
      left_sum[r] = right_sum[r] = _mm512_set1_epi32(-128 * x_sum[r * num_blocks + block]);
    const int64_t end = std::min(depth, (block + 1) * a.block_depth);
    for (int64_t d = block * a.block_depth; d < end; d += kGroupDepth) {
      const __m512i w_left = _mm512_loadu_si512(w), w_right = _mm512_loadu_si512(w + 64);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        int32_t bytes;
        std::memcpy(&bytes, x + r * stride, sizeof bytes);
        const __m512i four = _mm512_set1_epi32(bytes);
        left_sum[r] = add_products(left_sum[r], w_left, four);
        right_sum[r] = add_products(right_sum[r], w_right, four);
      }
      x += kGroupDepth;
      w += kPanelColumns * kGroupDepth;
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const float scale = x_scale[r * num_blocks + block];
      left[r] = add_block(left_sum[r], scale, left[r]);
      right[r] = add_block(right_sum[r], scale, right[r]);
    }
  }
  finish<T>(a, row, panel * kPanelColumns, left);
  finish<T>(a, row, panel * kPanelColumns + kLanes, right);
}

// Fewer rows than a tile has.
template <class T, int R = kTileRows - 1>
void last_tile(const Int8Product& a, int64_t row, int64_t panel, int64_t rows) {
  if (rows == R) return tile<T, R>(a, row, panel);
  if constexpr (R > 1) last_tile<T, R - 1>(a, row, panel, rows);
}

template <class T>
void product(const Int8Product& a, int64_t begin, int64_t end) {
  const int64_t fit = kCacheBytes / std::max<int64_t>(1, a.groups * kGroupDepth) / kTileRows;
  const int64_t block = std::max<int64_t>(1, fit) * kTileRows;
  for (int64_t first = 0; first < a.rows; first += block) {
    const int64_t last = std::min(a.rows, first + block);
    for (int64_t panel = begin; panel < end; ++panel) {
      int64_t row = first;
      for (; row + kTileRows <= last; row += kTileRows) tile<T, kTileRows>(a, row, panel);
      if (row < last) last_tile<T>(a, row, panel, last - row);
    }
  }
}

}  // namespace

void int8_product_vnni(const Int8Product& op, int64_t begin, int64_t end) {
  op.element == Element::kFloat ? product<float>(op, begin, end)
                                : product<uint16_t>(op, begin, end);
}

}  // namespace i1::kernels
HWY_POP_ATTRIBUTES

bool i1::kernels::has_vnni() {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

#else

bool i1::kernels::has_vnni() { return false; }
void i1::kernels::int8_product_vnni(const Int8Product&, int64_t, int64_t) {}

#endif
