#include <algorithm>

#include "i1/kernels/column_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/column_sum_cpu.cpp"
#include <hwy/foreach_target.h>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

// Up to four vectors of columns stay in registers while the rows go by; each run of 64 rows is
// summed by itself first, so that the error grows with 64 + rows / 64 and not with rows.
template <class T, class Lanes, int kVectors>
HWY_INLINE void sum_vectors(const kernels::ColumnSum& s, int64_t column, Lanes lanes) {
  constexpr int64_t kRun = 64;
  const size_t L = hn::Lanes(Floats());
  const T* x = static_cast<const T*>(s.x) + column;
  Vector total[kVectors];
  for (int k = 0; k < kVectors; ++k) total[k] = zero();
  for (int64_t run = 0; run < s.rows; run += kRun) {
    Vector part[kVectors];
    for (int k = 0; k < kVectors; ++k) part[k] = zero();
    for (int64_t r = run; r < std::min(run + kRun, s.rows); ++r) {
      const T* row = x + r * s.row_stride;
      for (int k = 0; k < kVectors; ++k) part[k] = hn::Add(part[k], lanes.load(row + k * L));
    }
    for (int k = 0; k < kVectors; ++k) total[k] = hn::Add(total[k], part[k]);
  }
  for (int k = 0; k < kVectors; ++k) {
    const int64_t at = column + static_cast<int64_t>(k * L);
    if (s.sums_element == kernels::Element::kFloat) {
      lanes.store(total[k], static_cast<float*>(s.sums) + at);
    } else {
      lanes.store(total[k], static_cast<c10::BFloat16*>(s.sums) + at);
    }
  }
}

template <class T>
void sum_columns(const kernels::ColumnSum& s, int64_t begin, int64_t end) {
  const auto L = static_cast<int64_t>(hn::Lanes(Floats()));
  int64_t column = begin;
  for (; column + 4 * L <= end; column += 4 * L) sum_vectors<T, WholeVector, 4>(s, column, {});
  for (; column + L <= end; column += L) sum_vectors<T, WholeVector, 1>(s, column, {});
  if (column < end)
    sum_vectors<T, FirstLanes, 1>(s, column, FirstLanes{static_cast<size_t>(end - column)});
}

}  // namespace

void column_sum(const kernels::ColumnSum& s, int64_t begin, int64_t end) {
  s.element == kernels::Element::kFloat ? sum_columns<float>(s, begin, end)
                                        : sum_columns<c10::BFloat16>(s, begin, end);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(column_sum);
void kernels::column_sum_cpu(const ColumnSum& sum, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(column_sum)(sum, begin, end);
}
}  // namespace i1
#endif
