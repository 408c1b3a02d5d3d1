#include "i1/kernels/map_norm_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/map_norm_cpu.cpp"
#include <hwy/foreach_target.h>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

using Doubles = hn::ScalableTag<double>;
using DoubleVector = hn::Vec<Doubles>;

HWY_INLINE DoubleVector load_doubles(const float* p) {
  return hn::PromoteTo(Doubles(), hn::LoadU(hn::Rebind<float, Doubles>(), p));
}
HWY_INLINE DoubleVector load_doubles(const c10::BFloat16* p) {
  const hn::Rebind<uint32_t, Doubles> bits;
  const auto halves = hn::LoadU(hn::Rebind<uint16_t, Doubles>(), raw(p));
  const auto wide = hn::ShiftLeft<16>(hn::PromoteTo(bits, halves));
  return hn::PromoteTo(Doubles(), hn::BitCast(hn::Rebind<float, Doubles>(), wide));
}

// The sums of kVectors vectors of channels stay in registers while the row's pixels go by.
template <int kVectors, class T>
HWY_INLINE void sum_vectors(const T* x, int64_t W, int64_t C, double* sums, double* squares) {
  const size_t L = hn::Lanes(Doubles());
  DoubleVector sum[kVectors], square[kVectors];
  for (int k = 0; k < kVectors; ++k) sum[k] = square[k] = hn::Zero(Doubles());
  for (int64_t w = 0; w < W; ++w) {
    for (int k = 0; k < kVectors; ++k) {
      const DoubleVector v = load_doubles(x + w * C + k * L);
      sum[k] = hn::Add(sum[k], v);
      square[k] = hn::MulAdd(v, v, square[k]);
    }
  }
  for (int k = 0; k < kVectors; ++k) {
    hn::StoreU(sum[k], Doubles(), sums + k * L);
    hn::StoreU(square[k], Doubles(), squares + k * L);
  }
}

template <class T>
void sum_rows(const kernels::MapRowSums& a, int64_t begin, int64_t end) {
  constexpr int kVectors = 4;
  const auto L = static_cast<int64_t>(hn::Lanes(Doubles()));
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(a.x) + r * a.W * a.C;
    double *sums = a.sums + r * 2 * a.C, *squares = sums + a.C;
    int64_t c = 0;
    for (; c + kVectors * L <= a.C; c += kVectors * L)
      sum_vectors<kVectors>(x + c, a.W, a.C, sums + c, squares + c);
    for (; c + L <= a.C; c += L) sum_vectors<1>(x + c, a.W, a.C, sums + c, squares + c);
    for (; c < a.C; ++c) {
      double sum = 0, square = 0;
      for (int64_t w = 0; w < a.W; ++w) {
        const auto v = static_cast<double>(static_cast<float>(x[w * a.C + c]));
        sum += v;
        square += v * v;
      }
      sums[c] = sum;
      squares[c] = square;
    }
  }
}

template <class T, bool kHasSilu>
void apply_rows(const kernels::MapNormApply& a, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const float *scale = a.scale + r / a.H * a.C, *shift = a.shift + r / a.H * a.C;
    for (int64_t w = 0; w < a.W; ++w) {
      const T* x = static_cast<const T*>(a.x) + (r * a.W + w) * a.C;
      T* y = static_cast<T*>(a.y) + (r * a.W + w) * a.C;
      for_each_vector(static_cast<size_t>(a.C), [&](auto lanes, size_t i) HWY_ATTR {
        const Vector v =
            hn::MulAdd(lanes.load(x + i), lanes.load(scale + i), lanes.load(shift + i));
        lanes.store(kHasSilu ? hn::Mul(v, sigmoid(v)) : v, y + i);
      });
    }
  }
}

template <class T>
void apply_rows(const kernels::MapNormApply& a, int64_t begin, int64_t end) {
  a.has_silu ? apply_rows<T, true>(a, begin, end) : apply_rows<T, false>(a, begin, end);
}

}  // namespace

void map_row_sums(const kernels::MapRowSums& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? sum_rows<float>(a, begin, end)
                                        : sum_rows<c10::BFloat16>(a, begin, end);
}

void map_norm_apply(const kernels::MapNormApply& a, int64_t begin, int64_t end) {
  a.element == kernels::Element::kFloat ? apply_rows<float>(a, begin, end)
                                        : apply_rows<c10::BFloat16>(a, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(map_row_sums);
HWY_EXPORT(map_norm_apply);
void kernels::map_row_sums_cpu(const MapRowSums& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(map_row_sums)(op, begin, end);
}
void kernels::map_norm_apply_cpu(const MapNormApply& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(map_norm_apply)(op, begin, end);
}
}  // namespace i1
#endif
