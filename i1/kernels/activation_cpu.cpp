#include "i1/kernels/activation_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/activation_cpu.cpp"
#include <hwy/foreach_target.h>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

// Each is x s with s = sigmoid(u(x)); its slope is s + x s (1 - s) u'(x).
struct Silu {
  static HWY_INLINE Vector u(Vector x) { return x; }
  static HWY_INLINE Vector slope_of_u(Vector) { return set(1); }
};

// (1 + tanh(z)) / 2 = sigmoid(2z), here with z = sqrt(2 / pi) (x + 0.044715 x^3).
struct Gelu {
  static constexpr float kOuter = 1.5957691216057308f;  // 2 sqrt(2 / pi)
  static constexpr float kCubic = 1.5957691216057308f * 0.044715f;
  static HWY_INLINE Vector u(Vector x) {
    return hn::Mul(x, hn::MulAdd(hn::Mul(x, x), set(kCubic), set(kOuter)));
  }
  static HWY_INLINE Vector slope_of_u(Vector x) {
    return hn::MulAdd(hn::Mul(x, x), set(3 * kCubic), set(kOuter));
  }
};

template <class Kind, class T>
void run(const kernels::Activation& a, int64_t begin, int64_t end) {
  const T* x = static_cast<const T*>(a.x) + begin;
  T* y = static_cast<T*>(a.y) + begin;
  const auto count = static_cast<size_t>(end - begin);
  if (a.dy == nullptr) {
    for_each_vector(count, [&](auto lanes, size_t i) HWY_ATTR {
      const Vector v = lanes.load(x + i);
      lanes.store(hn::Mul(v, sigmoid(Kind::u(v))), y + i);
    });
    return;
  }
  const T* dy = static_cast<const T*>(a.dy) + begin;
  for_each_vector(count, [&](auto lanes, size_t i) HWY_ATTR {
    const Vector v = lanes.load(x + i), s = sigmoid(Kind::u(v));
    const Vector bend = hn::Mul(hn::Mul(v, Kind::slope_of_u(v)), hn::Sub(set(1), s));
    lanes.store(hn::Mul(lanes.load(dy + i), hn::MulAdd(s, bend, s)), y + i);
  });
}

template <class T>
void run(const kernels::Activation& a, int64_t begin, int64_t end) {
  a.kind == kernels::ActivationKind::kSilu ? run<Silu, T>(a, begin, end)
                                           : run<Gelu, T>(a, begin, end);
}

}  // namespace

void activation(const kernels::Activation& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? run<float>(a, begin, end)
                                        : run<c10::BFloat16>(a, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(activation);
void kernels::activation_cpu(const Activation& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(activation)(op, begin, end);
}
}  // namespace i1
#endif
