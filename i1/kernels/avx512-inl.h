// Sixteen values at a time, and tails of them. Included within the file's target attributes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace i1::kernels {
namespace {

constexpr int64_t kLanes = 16;

// The first `n` of a mask's lanes.
template <class Mask = __mmask16>
HWY_INLINE Mask first_lanes(int64_t n) {
  constexpr int64_t kBits = 8 * sizeof(Mask);
  return static_cast<Mask>((uint64_t{1} << std::clamp<int64_t>(n, 0, kBits)) - 1);
}

inline __m512 load(const float* p, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, p); }

// A bfloat16 is the upper half of a float32.
inline __m512 load(const uint16_t* p, __mmask16 mask) {
  const __m256i halves = _mm256_maskz_loadu_epi16(mask, p);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

}  // namespace
}  // namespace i1::kernels
