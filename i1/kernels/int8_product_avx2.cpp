// The int8 product without VNNI: bytes are widened to 16 bits, whose products VPMADDWD adds in
// pairs without overflow. The sums, and so all results, equal those of int8_product_vnni.cpp bit by
// bit; the rate is about that of float32.
#include <hwy/highway.h>
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "i1/kernels/int8_linear_kernels.h"

#if HWY_ARCH_X86

HWY_PUSH_ATTRIBUTES("avx2,fma")
namespace i1::kernels {
namespace {

// 16 columns in 4 vectors; lanes 2 c and 2 c + 1 hold the sums of even and odd pairs of column c.
constexpr int kTileRows = 2, kTileColumns = 16, kVectors = 4;

inline float widen(float value) { return value; }
inline float widen(uint16_t half) {
  return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
}

inline void store(float value, float* p) { *p = value; }

// To the nearest, ties to even; a NaN stays one.
inline void store(float value, uint16_t* p) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t odd = (bits >> 16) & 1;
  *p = static_cast<uint16_t>(value != value ? 0x7FC0 : (bits + odd + 0x7FFF) >> 16);
}

// The exact sums of one block, (R, 16), from x and weights of that block.
template <int R>
HWY_INLINE void add_block(const int8_t* x, int64_t stride, const uint8_t* w, int64_t groups,
                          int32_t (&sums)[R][kTileColumns]) {
  __m256i pairs[R][kVectors] = {};
  for (int64_t group = 0; group < groups; ++group) {
    __m256i four[R];
    for (int r = 0; r < R; ++r) {
      int32_t bytes;
      std::memcpy(&bytes, x + r * stride + group * kGroupDepth, sizeof bytes);
      four[r] = _mm256_cvtepi8_epi16(_mm_set1_epi32(bytes));
    }
    for (int v = 0; v < kVectors; ++v) {
      const auto* bytes = reinterpret_cast<const __m128i*>(w + 16 * v);
      const __m256i weights = _mm256_cvtepu8_epi16(_mm_loadu_si128(bytes));
      for (int r = 0; r < R; ++r)
        pairs[r][v] = _mm256_add_epi32(pairs[r][v], _mm256_madd_epi16(weights, four[r]));
    }
    w += kPanelColumns * kGroupDepth;
  }
  for (int r = 0; r < R; ++r) {
    alignas(32) int32_t lanes[2 * kTileColumns];
    for (int v = 0; v < kVectors; ++v)
      _mm256_store_si256(reinterpret_cast<__m256i*>(lanes + 8 * v), pairs[r][v]);
    for (int c = 0; c < kTileColumns; ++c) sums[r][c] = lanes[2 * c] + lanes[2 * c + 1];
  }
}

template <class T, int R>
void tile(const Int8Product& a, int64_t row, int64_t column) {
  const int64_t depth = a.groups * kGroupDepth, stride = padded_depth(depth),
                num_blocks = kernels::num_blocks(depth, a.block_depth);
  const int64_t in_panel = column % kPanelColumns;
  const int8_t* x = a.x + row * stride;
  const uint8_t* w = a.panels + (column - in_panel) * depth + in_panel * kGroupDepth;
  float totals[R][kTileColumns] = {};
  for (int64_t block = 0; block < num_blocks; ++block) {
    const int64_t first = block * a.block_depth;
    const int64_t groups = (std::min(depth, first + a.block_depth) - first) / kGroupDepth;
    int32_t sums[R][kTileColumns];
    add_block<R>(x + first, stride, w + first * kPanelColumns, groups, sums);
    for (int r = 0; r < R; ++r) {
      const int64_t at = (row + r) * num_blocks + block;
      for (int c = 0; c < kTileColumns; ++c) {
        const auto sum = static_cast<float>(sums[r][c] - 128 * a.x_sum[at]);
        totals[r][c] = std::fma(sum, a.x_scale[at], totals[r][c]);
      }
    }
  }
  const int64_t columns = std::min<int64_t>(kTileColumns, a.F - column);
  for (int r = 0; r < R; ++r) {
    T* y = static_cast<T*>(a.y) + (row + r) * a.y_stride + column;
    for (int64_t c = 0; c < columns; ++c) {
      const float bias = widen(static_cast<const T*>(a.bias)[column + c]);
      store(std::fma(totals[r][c], a.scale[column + c], bias), y + c);
    }
  }
}

template <class T>
void product(const Int8Product& a, int64_t begin, int64_t end) {
  const int64_t last = std::min(a.F, end * kPanelColumns);
  for (int64_t column = begin * kPanelColumns; column < last; column += kTileColumns) {
    int64_t row = 0;
    for (; row + kTileRows <= a.rows; row += kTileRows) tile<T, kTileRows>(a, row, column);
    if (row < a.rows) tile<T, 1>(a, row, column);
  }
}

}  // namespace

void int8_product_avx2(const Int8Product& op, int64_t begin, int64_t end) {
  op.element == Element::kFloat ? product<float>(op, begin, end)
                                : product<uint16_t>(op, begin, end);
}

}  // namespace i1::kernels
HWY_POP_ATTRIBUTES

bool i1::kernels::has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

bool i1::kernels::has_avx2() { return false; }
void i1::kernels::int8_product_avx2(const Int8Product&, int64_t, int64_t) {}

#endif
