#include "i1/kernels/int8_linear_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/int8_linear_cpu.cpp"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

constexpr float kLargest = 127, kSmallestRow = 1e-30f;

using Bytes = hn::Rebind<int8_t, Floats>;

// The largest magnitude of a row; NaN where one value is not finite.
template <class T>
float largest_magnitude(const T* x, size_t n) {
  Vector most = zero(), not_finite = zero();
  for_each_vector(n, [&](auto lanes, size_t i) HWY_ATTR {
    const Vector v = lanes.load(x + i);
    most = hn::Max(most, hn::Abs(v));
    not_finite = hn::Add(not_finite, hn::Sub(v, v));
  });
  const Floats f;
  return hn::GetLane(hn::MaxOfLanes(f, most)) + hn::GetLane(hn::SumOfLanes(f, not_finite));
}

// A block of a row; returns its scale, and the sum of its values.
template <class T>
float quantize_block(const T* x, size_t n, int8_t* values, int32_t& total) {
  const size_t L = hn::Lanes(Floats());
  const float most = largest_magnitude(x, n);
  total = 0;
  if (!(most >= kSmallestRow)) {
    std::memset(values, 0, n);
    return std::isnan(most) ? most : 0;
  }
  const Vector factor = set(kLargest / most);
  auto sum = hn::Zero(SignedBits());
  for_each_vector(n, [&](auto lanes, size_t i) HWY_ATTR {
    const auto whole = hn::NearestInt(hn::Mul(lanes.load(x + i), factor));
    sum = hn::Add(sum, whole);
    const auto bytes = hn::DemoteTo(Bytes(), whole);
    if (i + L <= n) {
      hn::StoreU(bytes, Bytes(), values + i);
    } else {
      HWY_ALIGN int8_t buffer[HWY_MAX_BYTES];
      hn::StoreU(bytes, Bytes(), buffer);
      std::memcpy(values + i, buffer, n - i);
    }
  });
  total = hn::GetLane(hn::SumOfLanes(SignedBits(), sum));
  return most / kLargest;
}

template <class T>
void quantize(const kernels::QuantizeRows& a, int64_t begin, int64_t end) {
  const int64_t padded = kernels::padded_depth(a.K);
  const int64_t num_blocks = kernels::num_blocks(a.K, a.block_depth);
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(a.x) + r * a.stride;
    int8_t* values = a.values + r * padded;
    std::memset(values + a.K, 0, static_cast<size_t>(padded - a.K));
    for (int64_t block = 0; block < num_blocks; ++block) {
      const int64_t first = block * a.block_depth, n = std::min(a.block_depth, a.K - first);
      const int64_t at = r * num_blocks + block;
      a.scale[at] = quantize_block(x + first, static_cast<size_t>(n), values + first, a.sum[at]);
    }
  }
}

template <class T>
void widen(const kernels::WidenRows& a, int64_t begin, int64_t end) {
  const auto L = static_cast<int64_t>(hn::Lanes(Floats()));
  for (int64_t r = begin; r < end; ++r) {
    const int8_t* from = a.weight + r * a.columns;
    T* to = static_cast<T*>(a.wide) + r * a.columns;
    const Vector scale = set(a.scale[r]);
    const auto convert = [&](const int8_t* bytes) HWY_ATTR {
      const auto whole = hn::PromoteTo(SignedBits(), hn::LoadU(Bytes(), bytes));
      return hn::Mul(hn::ConvertTo(Floats(), whole), scale);
    };
    int64_t i = 0;
    for (; i + L <= a.columns; i += L) WholeVector().store(convert(from + i), to + i);
    if (i == a.columns) continue;
    HWY_ALIGN int8_t rest[HWY_MAX_BYTES] = {};
    std::memcpy(rest, from + i, static_cast<size_t>(a.columns - i));
    FirstLanes{static_cast<size_t>(a.columns - i)}.store(convert(rest), to + i);
  }
}

}  // namespace

void widen_rows(const kernels::WidenRows& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? widen<float>(a, begin, end)
                                        : widen<c10::BFloat16>(a, begin, end);
}

void quantize_rows(const kernels::QuantizeRows& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? quantize<float>(a, begin, end)
                                        : quantize<c10::BFloat16>(a, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(widen_rows);
HWY_EXPORT(quantize_rows);
void kernels::widen_rows_cpu(const WidenRows& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(widen_rows)(op, begin, end);
}
void kernels::quantize_rows_cpu(const QuantizeRows& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(quantize_rows)(op, begin, end);
}
}  // namespace i1
#endif
