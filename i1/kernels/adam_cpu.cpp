#include <algorithm>

#include "i1/kernels/adam_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/adam_cpu.cpp"
#include <hwy/foreach_target.h>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

// Squares are summed in float32 over a run, runs in double.
constexpr int64_t kRun = 1024;

HWY_INLINE double sum_lanes(Vector v) { return hn::GetLane(hn::SumOfLanes(Floats(), v)); }

// visit(begin, count) for each run of a chunk.
template <class Visit>
HWY_INLINE void for_each_run(int64_t count, int64_t chunk, const Visit& visit) {
  const int64_t end = std::min((chunk + 1) * kernels::kAdamChunk, count);
  for (int64_t begin = chunk * kernels::kAdamChunk; begin < end; begin += kRun)
    visit(begin, static_cast<size_t>(std::min(kRun, end - begin)));
}

// The weights after one step; mu and nu are stored, mu only after it was used.
template <class Gradient, class Mu, class Lanes>
HWY_INLINE Vector moved(const kernels::AdamTensor& t, const kernels::AdamFactors& f, Lanes lanes,
                        int64_t i, Vector weight, Vector& update_squares) {
  Mu* mu_at = static_cast<Mu*>(t.mu) + i;
  Vector g = zero();
  if (t.gradient != nullptr) {
    g = hn::Mul(lanes.load(static_cast<const Gradient*>(t.gradient) + i), set(f.gradient_scale));
  }
  const Vector mu = hn::MulAdd(lanes.load(mu_at), set(f.beta1), hn::Mul(g, set(1 - f.beta1)));
  const Vector nu =
      hn::MulAdd(lanes.load(t.nu + i), set(f.beta2), hn::Mul(hn::Mul(g, g), set(1 - f.beta2)));
  const Vector root = hn::Sqrt(hn::Mul(nu, set(f.nu_correction)));
  const Vector direction = hn::Div(hn::Mul(mu, set(f.mu_correction)), hn::Add(root, set(f.eps)));
  const Vector update = hn::Mul(direction, set(f.learning_rate));
  lanes.store(mu, mu_at);
  lanes.store(nu, t.nu + i);
  update_squares = hn::MulAdd(update, update, update_squares);
  return hn::Sub(weight, update);
}

template <class Gradient, class Mu>
kernels::AdamSums step_chunk(const kernels::AdamTensor& t, const kernels::AdamFactors& f,
                             int64_t chunk) {
  kernels::AdamSums sums{};
  for_each_run(t.count, chunk, [&](int64_t begin, size_t count) HWY_ATTR {
    Vector update = zero(), weight = zero(), ema = zero();
    for_each_vector(count, [&](auto lanes, size_t offset) HWY_ATTR {
      const int64_t i = begin + static_cast<int64_t>(offset);
      Vector w = lanes.load(t.weight + i);
      if (t.mu != nullptr) {
        w = moved<Gradient, Mu>(t, f, lanes, i, w, update);
        lanes.store(w, t.weight + i);
      }
      weight = hn::MulAdd(w, w, weight);
      if (t.ema != nullptr) {
        const Vector before = lanes.load(t.ema + i);
        const Vector e = hn::MulAdd(hn::Sub(w, before), set(f.ema_share), before);
        lanes.store(e, t.ema + i);
        ema = hn::MulAdd(e, e, ema);
      }
      if (t.compute_weight != nullptr)
        lanes.store(w, static_cast<c10::BFloat16*>(t.compute_weight) + i);
    });
    sums.update += sum_lanes(update);
    sums.weight += sum_lanes(weight);
    sums.ema += sum_lanes(ema);
  });
  return sums;
}

template <class T>
double square_chunk(const T* x, int64_t count, int64_t chunk) {
  double total = 0;
  for_each_run(count, chunk, [&](int64_t begin, size_t run) HWY_ATTR {
    total += sum_over(run, [&](auto lanes, size_t i, Vector sum) HWY_ATTR {
      const Vector v = lanes.load(x + begin + i);
      return hn::MulAdd(v, v, sum);
    });
  });
  return total;
}

}  // namespace

kernels::AdamSums adam(const kernels::AdamTensor& t, const kernels::AdamFactors& f, int64_t chunk) {
  using c10::BFloat16;
  const bool gradient_is_float = t.gradient_element == kernels::Element::kFloat;
  if (t.mu_element == kernels::Element::kFloat) {
    return gradient_is_float ? step_chunk<float, float>(t, f, chunk)
                             : step_chunk<BFloat16, float>(t, f, chunk);
  }
  return gradient_is_float ? step_chunk<float, BFloat16>(t, f, chunk)
                           : step_chunk<BFloat16, BFloat16>(t, f, chunk);
}

double sum_of_squares(const void* x, kernels::Element element, int64_t count, int64_t chunk) {
  return element == kernels::Element::kFloat
             ? square_chunk(static_cast<const float*>(x), count, chunk)
             : square_chunk(static_cast<const c10::BFloat16*>(x), count, chunk);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(adam);
HWY_EXPORT(sum_of_squares);
kernels::AdamSums kernels::adam_cpu(const AdamTensor& tensor, const AdamFactors& factors,
                                    int64_t chunk) {
  return HWY_DYNAMIC_DISPATCH(adam)(tensor, factors, chunk);
}
double kernels::sum_of_squares_cpu(const void* x, Element element, int64_t count, int64_t chunk) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares)(x, element, count, chunk);
}
}  // namespace i1
#endif
