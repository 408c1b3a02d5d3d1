#include "i1/kernels/swiglu_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/swiglu_cpu.cpp"
#include <hwy/foreach_target.h>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

template <class T>
void forward_rows(const kernels::SwigluForward& a, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const T *gate = static_cast<const T*>(a.gate_up) + r * a.stride, *up = gate + a.F;
    T* y = static_cast<T*>(a.y) + r * a.F;
    for_each_vector(static_cast<size_t>(a.F), [&](auto lanes, size_t i) HWY_ATTR {
      const Vector g = lanes.load(gate + i);
      lanes.store(hn::Mul(hn::Mul(g, sigmoid(g)), lanes.load(up + i)), y + i);
    });
  }
}

// With s = sigmoid(gate):  dgate = dy up s (1 + gate (1 - s)),  dup = dy gate s.
template <class T>
void backward_rows(const kernels::SwigluBackward& a, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const T *gate = static_cast<const T*>(a.gate_up) + r * a.stride, *up = gate + a.F;
    const T* dy = static_cast<const T*>(a.dy) + r * a.dy_stride;
    T *dgate = static_cast<T*>(a.dgate_up) + r * 2 * a.F, *dup = dgate + a.F;
    for_each_vector(static_cast<size_t>(a.F), [&](auto lanes, size_t i) HWY_ATTR {
      const Vector g = lanes.load(gate + i), slope = lanes.load(dy + i), s = sigmoid(g);
      const Vector inner = hn::MulAdd(g, hn::Sub(set(1), s), set(1));
      lanes.store(hn::Mul(hn::Mul(slope, lanes.load(up + i)), hn::Mul(s, inner)), dgate + i);
      lanes.store(hn::Mul(slope, hn::Mul(g, s)), dup + i);
    });
  }
}

}  // namespace

void swiglu_forward(const kernels::SwigluForward& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? forward_rows<float>(a, begin, end)
                                        : forward_rows<c10::BFloat16>(a, begin, end);
}

void swiglu_backward(const kernels::SwigluBackward& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? backward_rows<float>(a, begin, end)
                                        : backward_rows<c10::BFloat16>(a, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(swiglu_forward);
HWY_EXPORT(swiglu_backward);
void kernels::swiglu_forward_cpu(const SwigluForward& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(swiglu_forward)(op, begin, end);
}
void kernels::swiglu_backward_cpu(const SwigluBackward& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward)(op, begin, end);
}
}  // namespace i1
#endif
