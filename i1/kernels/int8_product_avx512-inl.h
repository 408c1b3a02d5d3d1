// What the int8 products for AVX-512 share: 16 sums at a time on their way to the layer's result.
// Included within the file's target attributes.
#pragma once

#include "i1/kernels/avx512-inl.h"
#include "i1/kernels/int8_linear_kernels.h"

namespace i1::kernels {
namespace {

inline void store(float* p, __mmask16 mask, __m512 v) { _mm512_mask_storeu_ps(p, mask, v); }

// To the nearest, ties to even; a NaN stays one.
inline void store(uint16_t* p, __mmask16 mask, __m512 v) {
  const __m512i u = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_blend_epi32(nan, rounded, _mm512_set1_epi32(0x7FC0));
  _mm256_mask_storeu_epi16(p, mask, _mm512_cvtepi32_epi16(kept));
}

// Sums of one block by the factor of its row of x, added to those of the blocks before.
HWY_INLINE __m512 add_block(__m512i sums, float x_scale, __m512 total) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(x_scale), total);
}

// What 16 columns of the weights contribute to every row.
template <class T>
struct Columns {
  Columns(const Int8Product& a, int64_t column)
      : mask(first_lanes(a.F - column)),
        scale(load(a.scale + column, mask)),
        bias(load(static_cast<const T*>(a.bias) + column, mask)) {}

  // The layer's result of one row: total scale + bias; and that to y.
  HWY_INLINE __m512 of(__m512 total) const { return _mm512_fmadd_ps(total, scale, bias); }
  HWY_INLINE void finish(__m512 total, T* y) const { store(y, mask, of(total)); }

  __mmask16 mask;
  __m512 scale, bias;
};

}  // namespace
}  // namespace i1::kernels
