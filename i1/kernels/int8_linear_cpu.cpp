#include "i1/kernels/int8_linear_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/int8_linear_cpu.cpp"
#include <hwy/foreach_target.h>

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

template <class T>
void quantize(const kernels::QuantizeRows& a, int64_t begin, int64_t end) {
  const auto n = static_cast<size_t>(a.K);
  const auto padded = static_cast<size_t>(kernels::num_groups(a.K) * kernels::kGroupDepth);
  const size_t L = hn::Lanes(Floats());
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(a.x) + r * a.stride;
    int8_t* values = a.values + r * padded;
    std::memset(values + n, 0, padded - n);
    const float most = largest_magnitude(x, n);
    if (!(most >= kSmallestRow)) {
      std::memset(values, 0, n);
      a.scale[r] = std::isnan(most) ? most : 0;
      a.sum[r] = 0;
      continue;
    }
    a.scale[r] = most / kLargest;
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
    a.sum[r] = hn::GetLane(hn::SumOfLanes(SignedBits(), sum));
  }
}

}  // namespace

void quantize_rows(const kernels::QuantizeRows& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? quantize<float>(a, begin, end)
                                        : quantize<c10::BFloat16>(a, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(quantize_rows);
void kernels::quantize_rows_cpu(const QuantizeRows& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(quantize_rows)(op, begin, end);
}
}  // namespace i1
#endif
