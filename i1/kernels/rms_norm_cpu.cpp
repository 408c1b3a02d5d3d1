#include "i1/kernels/rms_norm_kernels.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/rms_norm_cpu.cpp"
#include <hwy/foreach_target.h>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

// Memory-bound: a row is read twice, the second time from the first-level cache, and written once.
template <class T, bool kHasResidual>
void forward_rows(const kernels::RmsNormForward& a, int64_t begin, int64_t end) {
  const auto D = static_cast<size_t>(a.D);
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(a.x) + r * a.x_stride;
    const T* residual =
        static_cast<const T*>(a.residual) + (kHasResidual ? r * a.residual_stride : 0);
    T* y = static_cast<T*>(a.y) + r * a.D;
    const float square = sum_over(D, [&](auto lanes, size_t i, Vector sum) HWY_ATTR {
      const Vector v = lanes.load(x + i);
      return hn::MulAdd(v, v, sum);
    });
    const float inverse = 1 / std::sqrt(square / static_cast<float>(a.D) + a.eps);
    a.inverse_rms[r] = inverse;
    const Vector factor = set(inverse);
    for_each_vector(D, [&](auto lanes, size_t i) HWY_ATTR {
      const Vector n = hn::Mul(lanes.load(x + i), factor);
      const Vector scale = lanes.load(a.scale + i);
      if constexpr (kHasResidual) {
        lanes.store(hn::MulAdd(n, scale, lanes.load(residual + i)), y + i);
      } else {
        lanes.store(hn::Mul(n, scale), y + i);
      }
    });
  }
}

// With n = x * inverse and g = dy * scale:  dx = inverse * (g - n * mean(g * n)),  dscale = sum of
// dy * n over the rows.
template <class T>
void backward_blocks(const kernels::RmsNormBackward& a, int64_t begin, int64_t end) {
  const auto D = static_cast<size_t>(a.D);
  const kernels::RowBlocks blocks(a.rows);
  for (int64_t block = begin; block < end; ++block) {
    float* dscale = a.dscale_parts + block * a.D;
    std::memset(dscale, 0, D * sizeof(float));
    for (int64_t r = blocks.begin(block); r < blocks.end(block); ++r) {
      const T* x = static_cast<const T*>(a.x) + r * a.x_stride;
      const T* dy = static_cast<const T*>(a.dy) + r * a.dy_stride;
      T* dx = static_cast<T*>(a.dx) + r * a.D;
      const float inverse = a.inverse_rms[r];
      const float dot = sum_over(D, [&](auto lanes, size_t i, Vector sum) HWY_ATTR {
        const Vector g = hn::Mul(lanes.load(dy + i), lanes.load(a.scale + i));
        return hn::MulAdd(g, lanes.load(x + i), sum);
      });
      const Vector factor = set(inverse);
      const Vector mean = set(dot * inverse / static_cast<float>(a.D));  // of g * n
      for_each_vector(D, [&](auto lanes, size_t i) HWY_ATTR {
        const Vector n = hn::Mul(lanes.load(x + i), factor), slope = lanes.load(dy + i);
        const Vector g = hn::Mul(slope, lanes.load(a.scale + i));
        lanes.store(hn::Mul(hn::NegMulAdd(n, mean, g), factor), dx + i);
        lanes.store(hn::MulAdd(slope, n, lanes.load(dscale + i)), dscale + i);
      });
    }
  }
}

}  // namespace

void rms_norm_forward(const kernels::RmsNormForward& a, int64_t begin, int64_t end) {
  const bool is_float = a.element == kernels::Element::kFloat;
  if (a.residual == nullptr) {
    is_float ? forward_rows<float, false>(a, begin, end)
             : forward_rows<c10::BFloat16, false>(a, begin, end);
  } else {
    is_float ? forward_rows<float, true>(a, begin, end)
             : forward_rows<c10::BFloat16, true>(a, begin, end);
  }
}

void rms_norm_backward(const kernels::RmsNormBackward& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? backward_blocks<float>(a, begin, end)
                                        : backward_blocks<c10::BFloat16>(a, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(rms_norm_forward);
HWY_EXPORT(rms_norm_backward);
void kernels::rms_norm_forward_cpu(const RmsNormForward& norm, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(rms_norm_forward)(norm, begin, end);
}
void kernels::rms_norm_backward_cpu(const RmsNormBackward& norm, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward)(norm, begin, end);
}
}  // namespace i1
#endif
