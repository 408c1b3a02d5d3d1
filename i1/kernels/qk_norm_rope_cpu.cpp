#include <cmath>
#include <vector>

#include "i1/kernels/qk_norm_rope_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/qk_norm_rope_cpu.cpp"
#include <hwy/foreach_target.h>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

// A row's angles, one entry a channel, so that rotation needs whole vectors only: with x' = x with
// the two channels of each pair swapped,  rotate(x) = x cos + x' sin,  back(x) = x cos - x' sin.
class Angles {
 public:
  explicit Angles(int64_t head_dim)
      : cos_(head_dim + 2 * hn::Lanes(Floats())), sin_(cos_.size()) {}  // whole vectors are stored

  void load(const float* cos, const float* sin, int64_t head_dim) {
    for_each_vector(static_cast<size_t>(head_dim / 2), [&](auto lanes, size_t i) HWY_ATTR {
      const Vector c = lanes.load(cos + i), s = lanes.load(sin + i);
      hn::StoreInterleaved2(c, c, Floats(), cos_.data() + 2 * i);
      hn::StoreInterleaved2(hn::Neg(s), s, Floats(), sin_.data() + 2 * i);
    });
  }

  // value(i): the vector that starts at channel i.
  template <class Value>
  HWY_INLINE Vector rotate(const Value& value, size_t i) const {
    const WholeVector whole;
    const Vector x = value(i);
    return hn::MulAdd(swapped(value, x, i), whole.load(&sin_[i]), hn::Mul(x, whole.load(&cos_[i])));
  }
  template <class Value>
  HWY_INLINE Vector rotate_back(const Value& value, size_t i) const {
    const WholeVector whole;
    const Vector x = value(i);
    return hn::NegMulAdd(swapped(value, x, i), whole.load(&sin_[i]),
                         hn::Mul(x, whole.load(&cos_[i])));
  }

 private:
  template <class Value>
  static HWY_INLINE Vector swapped([[maybe_unused]] const Value& value, [[maybe_unused]] Vector x,
                                   [[maybe_unused]] size_t i) {
#if HWY_TARGET == HWY_SCALAR  // vectors of one channel
    return value(i ^ 1);
#else
    return hn::Reverse2(Floats(), x);
#endif
  }

  std::vector<float> cos_, sin_;
};

// One head: norm where scale is given, then rotation where angles are. Returns 1 / rms.
template <class T>
HWY_INLINE float forward_head(const T* x, const float* scale, const Angles* angles, float eps,
                              size_t E, T* y) {
  float inverse = 1;
  if (scale != nullptr) {
    const float square = sum_over(E, [&](auto lanes, size_t i, Vector sum) HWY_ATTR {
      const Vector v = lanes.load(x + i);
      return hn::MulAdd(v, v, sum);
    });
    inverse = 1 / std::sqrt(square / static_cast<float>(E) + eps);
  }
  const Vector factor = set(inverse);
  for_each_vector(E, [&](auto lanes, size_t i) HWY_ATTR {
    const auto normed = [&](size_t j) HWY_ATTR {
      const Vector v = lanes.load(x + j);
      return scale == nullptr ? v : hn::Mul(hn::Mul(v, factor), lanes.load(scale + j));
    };
    lanes.store(angles == nullptr ? normed(i) : angles->rotate(normed, i), y + i);
  });
  return inverse;
}

template <class T>
void forward_rows(const kernels::QkNormRopeForward& a, int64_t begin, int64_t end) {
  const int64_t H = a.num_heads, E = a.head_dim, D = H * E;
  Angles angles(E);
  const Angles* rotation = a.cos != nullptr ? &angles : nullptr;
  for (int64_t r = begin; r < end; ++r) {
    if (rotation != nullptr) angles.load(a.cos + r * (E / 2), a.sin + r * (E / 2), E);
    const T* row = static_cast<const T*>(a.qkv) + r * a.qkv_stride;
    const auto part = [&](const T* x, const float* scale, void* out, float* inverse_rms) HWY_ATTR {
      T* y = static_cast<T*>(out) + r * D;
      for (int64_t h = 0; h < H; ++h) {
        inverse_rms[h] =
            forward_head(x + h * E, scale, rotation, a.eps, static_cast<size_t>(E), y + h * E);
      }
    };
    part(row, a.q_scale, a.q, a.inverse_rms + r * 2 * H);
    part(row + D, a.k_scale, a.k, a.inverse_rms + r * 2 * H + H);
  }
}

// With g the gradient turned back, n = x * inverse and t = g * scale:
// dx = inverse * (t - n * mean(t * n)),  dscale += g * n.
template <class T>
HWY_INLINE void backward_head(const T* x, const T* dy, const float* scale, const Angles* angles,
                              float inverse, size_t E, float* turned, T* dx, float* dscale) {
  const auto turn = [&](auto lanes, size_t i) HWY_ATTR {
    const auto slope = [&](size_t j) HWY_ATTR { return lanes.load(dy + j); };
    return angles == nullptr ? slope(i) : angles->rotate_back(slope, i);
  };
  if (scale == nullptr) {
    for_each_vector(E, [&](auto lanes, size_t i) HWY_ATTR { lanes.store(turn(lanes, i), dx + i); });
    return;
  }
  const float dot = sum_over(E, [&](auto lanes, size_t i, Vector sum) HWY_ATTR {
    const Vector g = turn(lanes, i);
    lanes.store(g, turned + i);
    return hn::MulAdd(hn::Mul(g, lanes.load(scale + i)), lanes.load(x + i), sum);
  });
  const Vector factor = set(inverse), mean = set(dot * inverse / static_cast<float>(E));
  for_each_vector(E, [&](auto lanes, size_t i) HWY_ATTR {
    const Vector n = hn::Mul(lanes.load(x + i), factor), g = lanes.load(turned + i);
    const Vector t = hn::Mul(g, lanes.load(scale + i));
    lanes.store(hn::Mul(hn::NegMulAdd(n, mean, t), factor), dx + i);
    lanes.store(hn::MulAdd(g, n, lanes.load(dscale + i)), dscale + i);
  });
}

template <class T>
void backward_row(const kernels::QkNormRopeBackward& a, int64_t r, const Angles* rotation,
                  float* turned, float* dscales) {
  const int64_t H = a.num_heads, E = a.head_dim, D = H * E;
  const T* row = static_cast<const T*>(a.qkv) + r * a.qkv_stride;
  T* out = static_cast<T*>(a.dqkv) + r * 3 * D;
  const auto part = [&](int64_t which, const void* dy, int64_t stride,
                        const float* scale) HWY_ATTR {
    const T* gradient = static_cast<const T*>(dy) + r * stride;
    for (int64_t h = 0; h < H; ++h) {
      const int64_t at = which * D + h * E;
      backward_head(row + at, gradient + h * E, scale, rotation,
                    a.inverse_rms[(r * 2 + which) * H + h], static_cast<size_t>(E), turned,
                    out + at, dscales + which * E);
    }
  };
  part(0, a.dq, a.dq_stride, a.q_scale);
  part(1, a.dk, a.dk_stride, a.k_scale);
  std::memcpy(out + 2 * D, static_cast<const T*>(a.dv) + r * a.dv_stride,
              static_cast<size_t>(D) * sizeof(T));
}

template <class T>
void backward_blocks(const kernels::QkNormRopeBackward& a, int64_t begin, int64_t end) {
  const int64_t E = a.head_dim;
  const kernels::RowBlocks blocks(a.rows);
  Angles angles(E);
  const Angles* rotation = a.cos != nullptr ? &angles : nullptr;
  std::vector<float> turned(static_cast<size_t>(E));
  for (int64_t block = begin; block < end; ++block) {
    float* dscales = a.dscale_parts + block * 2 * E;
    std::memset(dscales, 0, static_cast<size_t>(2 * E) * sizeof(float));
    for (int64_t r = blocks.begin(block); r < blocks.end(block); ++r) {
      if (rotation != nullptr) angles.load(a.cos + r * (E / 2), a.sin + r * (E / 2), E);
      backward_row<T>(a, r, rotation, turned.data(), dscales);
    }
  }
}

}  // namespace

void qk_norm_rope_forward(const kernels::QkNormRopeForward& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? forward_rows<float>(a, begin, end)
                                        : forward_rows<c10::BFloat16>(a, begin, end);
}

void qk_norm_rope_backward(const kernels::QkNormRopeBackward& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? backward_blocks<float>(a, begin, end)
                                        : backward_blocks<c10::BFloat16>(a, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(qk_norm_rope_forward);
HWY_EXPORT(qk_norm_rope_backward);
void kernels::qk_norm_rope_forward_cpu(const QkNormRopeForward& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(qk_norm_rope_forward)(op, begin, end);
}
void kernels::qk_norm_rope_backward_cpu(const QkNormRopeBackward& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(qk_norm_rope_backward)(op, begin, end);
}
}  // namespace i1
#endif
