// Vectors of float over rows of float32 or bfloat16, written once and compiled for every
// instruction set (Highway, run-time dispatch). Included inside a file that Highway compiles once
// per target.
//
// A row is walked by for_each_vector: its body gets `lanes`, which loads and stores either a whole
// vector or the first n elements of one (the rest read as zero), so no body knows about tails.
#if defined(I1_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef I1_KERNELS_SIMD_INL_H_
#undef I1_KERNELS_SIMD_INL_H_
#else
#define I1_KERNELS_SIMD_INL_H_
#endif

#include <c10/util/BFloat16.h>
#include <hwy/highway.h>

#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
using Bits = hn::RebindToUnsigned<Floats>;
using SignedBits = hn::RebindToSigned<Floats>;
using Halves = hn::Rebind<uint16_t, Floats>;

HWY_INLINE Vector set(float value) { return hn::Set(Floats(), value); }
HWY_INLINE Vector zero() { return hn::Zero(Floats()); }

HWY_INLINE Vector widen(hn::Vec<Halves> halves) {
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(Bits(), halves)));
}

// To the nearest bfloat16, ties to even; a NaN stays one.
HWY_INLINE hn::Vec<Halves> narrow(Vector v) {
  const Bits bits;
  const auto u = hn::BitCast(bits, v);
  const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(bits, 1u));
  const auto rounded = hn::ShiftRight<16>(hn::Add(u, hn::Add(odd, hn::Set(bits, 0x7FFFu))));
  const auto nan = hn::RebindMask(bits, hn::IsNaN(v));
  const auto kept = hn::IfThenElse(nan, hn::Set(bits, 0x7FC0u), rounded);
  return hn::DemoteTo(Halves(), hn::BitCast(SignedBits(), kept));
}

HWY_INLINE const uint16_t* raw(const c10::BFloat16* p) {
  return reinterpret_cast<const uint16_t*>(p);
}
HWY_INLINE uint16_t* raw(c10::BFloat16* p) { return reinterpret_cast<uint16_t*>(p); }

// exp, relative error below 2e-7 up to exp(88); 0 below exp(-87); a NaN stays one. Half the time of
// hn::Exp, which also gives infinities and subnormals. Coefficients: Cephes, expf.c.
HWY_INLINE Vector exponential(Vector x) {
  const Floats f;
  const Vector held = hn::Min(set(88.0f), x);
  const Vector whole = hn::Round(hn::Mul(held, set(1.44269504088896341f)));
  const Vector r =  // held - whole ln 2, ln 2 in two parts
      hn::MulAdd(whole, set(2.12194440e-4f), hn::NegMulAdd(whole, set(0.693359375f), held));
  Vector p = set(1.9875691500e-4f);
  for (const float c :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = hn::MulAdd(p, r, set(c));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), set(1.0f));
  const auto exponent = hn::Add(hn::ConvertTo(SignedBits(), whole), hn::Set(SignedBits(), 127));
  const Vector power = hn::BitCast(f, hn::ShiftLeft<23>(exponent));
  return hn::IfThenZeroElse(hn::Lt(x, set(-87.0f)), hn::Mul(p, power));
}

// 1 / (1 + exp(-x)) by the exponential of -|x|, which cannot overflow.
HWY_INLINE Vector sigmoid(Vector x) {
  const Vector e = exponential(hn::Neg(hn::Abs(x)));
  const Vector numerator = hn::IfThenElse(hn::Lt(x, zero()), e, set(1));
  return hn::Div(numerator, hn::Add(set(1), e));
}

struct WholeVector {
  HWY_INLINE Vector load(const float* p) const { return hn::LoadU(Floats(), p); }
  HWY_INLINE Vector load(const c10::BFloat16* p) const {
    return widen(hn::LoadU(Halves(), raw(p)));
  }
  HWY_INLINE void store(Vector v, float* p) const { hn::StoreU(v, Floats(), p); }
  HWY_INLINE void store(Vector v, c10::BFloat16* p) const {
    hn::StoreU(narrow(v), Halves(), raw(p));
  }
};

struct FirstLanes {
  size_t count;

  // Where masked memory operations may touch what they mask, a tail goes through a buffer.
  template <class D>
  HWY_INLINE hn::Vec<D> load_first(D d, const hn::TFromD<D>* p) const {
#if HWY_MEM_OPS_MIGHT_FAULT
    HWY_ALIGN hn::TFromD<D> buffer[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)] = {};
    std::memcpy(buffer, p, count * sizeof(hn::TFromD<D>));
    return hn::Load(d, buffer);
#else
    return hn::MaskedLoad(hn::FirstN(d, count), d, p);
#endif
  }
  template <class D>
  HWY_INLINE void store_first(D d, hn::Vec<D> v, hn::TFromD<D>* p) const {
#if HWY_MEM_OPS_MIGHT_FAULT
    HWY_ALIGN hn::TFromD<D> buffer[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)];
    hn::Store(v, d, buffer);
    std::memcpy(p, buffer, count * sizeof(hn::TFromD<D>));
#else
    hn::BlendedStore(v, hn::FirstN(d, count), d, p);
#endif
  }

  HWY_INLINE Vector load(const float* p) const { return load_first(Floats(), p); }
  HWY_INLINE Vector load(const c10::BFloat16* p) const {
    return widen(load_first(Halves(), raw(p)));
  }
  HWY_INLINE void store(Vector v, float* p) const { store_first(Floats(), v, p); }
  HWY_INLINE void store(Vector v, c10::BFloat16* p) const {
    store_first(Halves(), narrow(v), raw(p));
  }
};

// body(lanes, i) for i = 0, L, 2L, ... below n, L the vector's length.
template <class Body>
HWY_INLINE void for_each_vector(size_t n, const Body& body) {
  const size_t L = hn::Lanes(Floats());
  size_t i = 0;
  for (; i + L <= n; i += L) body(WholeVector(), i);
  if (i < n) body(FirstLanes{n - i}, i);
}

// The sum over a row of term(lanes, i, sum) = sum + what the vector at i adds. Four partial sums
// hide the latency of the additions.
template <class Term>
HWY_INLINE float sum_over(size_t n, const Term& term) {
  const size_t L = hn::Lanes(Floats());
  Vector a = zero(), b = zero(), c = zero(), d = zero();
  size_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    a = term(WholeVector(), i, a);
    b = term(WholeVector(), i + L, b);
    c = term(WholeVector(), i + 2 * L, c);
    d = term(WholeVector(), i + 3 * L, d);
  }
  for (; i + L <= n; i += L) a = term(WholeVector(), i, a);
  if (i < n) b = term(FirstLanes{n - i}, i, b);
  return hn::GetLane(hn::SumOfLanes(Floats(), hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
