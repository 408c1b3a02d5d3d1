// attention_bf16-inl.h by the tiles of AMX: TDPBF16PS multiplies 16 rows of 32 values by 32 x 16
// and adds to 16 x 16 sums in float32.
#include <hwy/highway.h>

#include "i1/kernels/amx.h"
#include "i1/kernels/attention_kernels.h"
#include "i1/kernels/x86_intrinsics.h"

#if I1_HAS_AMX

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")
#include "i1/kernels/amx-inl.h"
#include "i1/kernels/attention_bf16-inl.h"

namespace i1::kernels {
namespace {

template <int kSums, int kLeft, int kRight>
void add_products() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kLeft), "i"(kRight));
}

class TileProducts {
 public:
  TileProducts() { tiles_.shape_for(kRows); }

  HWY_INLINE void step(const Job& job, int64_t step) const {
    job.has_two ? step_of<true>(job, step) : step_of<false>(job, step);
  }

 private:
  template <bool kHasRight>
  static HWY_INLINE void step_of(const Job& job, int64_t step) {
    constexpr int64_t kTileValues = kLanes * kStepDepth;
    if (step == 0) job.is_added ? load_sums<kHasRight>(job) : zero_sums<kHasRight>();
    const uint16_t* left = job.left + step * kStepDepth;
    const uint16_t* right = job.right + step * kTileValues;
    const int64_t left_bytes = job.left_stride * 2;
    load_tile<kLeft>(right, kCacheLine);
    load_tile<kUpper>(left, left_bytes);
    add_products<kUpperLeft, kUpper, kLeft>();
    load_tile<kLower>(left + kTileRows * job.left_stride, left_bytes);
    add_products<kLowerLeft, kLower, kLeft>();
    if constexpr (kHasRight) {
      load_tile<kRight>(right + job.panel_stride, kCacheLine);
      add_products<kUpperRight, kUpper, kRight>();
      add_products<kLowerRight, kLower, kRight>();
    }
    if (step == job.num_steps - 1) store_sums<kHasRight>(job);
  }

  template <bool kHasRight>
  static void zero_sums() {
    zero_tile<kUpperLeft>();
    zero_tile<kLowerLeft>();
    if constexpr (kHasRight) zero_tile<kUpperRight>();
    if constexpr (kHasRight) zero_tile<kLowerRight>();
  }

  template <bool kHasRight>
  static void load_sums(const Job& job) {
    const float *upper = job.out, *lower = upper + kTileRows * job.out_stride;
    const int64_t bytes = job.out_stride * 4;
    load_tile<kUpperLeft>(upper, bytes);
    load_tile<kLowerLeft>(lower, bytes);
    if constexpr (kHasRight) load_tile<kUpperRight>(upper + kLanes, bytes);
    if constexpr (kHasRight) load_tile<kLowerRight>(lower + kLanes, bytes);
  }

  template <bool kHasRight>
  static void store_sums(const Job& job) {
    float *upper = job.out, *lower = upper + kTileRows * job.out_stride;
    const int64_t bytes = job.out_stride * 4;
    store_tile<kUpperLeft>(upper, bytes);
    store_tile<kLowerLeft>(lower, bytes);
    if constexpr (kHasRight) store_tile<kUpperRight>(upper + kLanes, bytes);
    if constexpr (kHasRight) store_tile<kLowerRight>(lower + kLanes, bytes);
  }

  Tiles tiles_;
};

}  // namespace

void attention_forward_amx(const AttentionHead& head, void* scratch) {
  attention_forward<TileProducts>(head, scratch);
}

}  // namespace i1::kernels
HWY_POP_ATTRIBUTES

#else

void i1::kernels::attention_forward_amx(const AttentionHead&, void*) {}

#endif
