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

  // Panels `panel` and, where there is one of num_panels, the next one:
  // out (32, 16 num_panels) = or += left (32, 32 num_steps) panels. Strides count values.
  template <bool kAdd>
  void multiply(const uint16_t* left, int64_t left_stride, int64_t num_steps, Panels panels,
                int64_t panel, int64_t num_panels, float* out, int64_t out_stride) const {
    if (panel + 1 < num_panels) {
      multiply_panels<kAdd, true>(left, left_stride, num_steps, panels, panel, out, out_stride);
    } else if (panel < num_panels) {
      multiply_panels<kAdd, false>(left, left_stride, num_steps, panels, panel, out, out_stride);
    }
  }

 private:
  template <bool kAdd, bool kHasRight>
  static void multiply_panels(const uint16_t* left, int64_t left_stride, int64_t num_steps,
                              Panels panels, int64_t panel, float* out, int64_t out_stride) {
    constexpr int64_t kTileValues = kLanes * kStepDepth;
    float* upper = out + panel * kLanes;
    float* lower = upper + kTileRows * out_stride;
    const int64_t out_bytes = out_stride * 4, left_bytes = left_stride * 2;
    begin<kUpperLeft, kAdd>(upper, out_bytes);
    begin<kLowerLeft, kAdd>(lower, out_bytes);
    if constexpr (kHasRight) begin<kUpperRight, kAdd>(upper + kLanes, out_bytes);
    if constexpr (kHasRight) begin<kLowerRight, kAdd>(lower + kLanes, out_bytes);
    const uint16_t* right = panels.data + panel * panels.stride;
    for (int64_t step = 0; step < num_steps; ++step) {
      load_tile<kLeft>(right + step * kTileValues, kCacheLine);
      load_tile<kUpper>(left + step * kStepDepth, left_bytes);
      add_products<kUpperLeft, kUpper, kLeft>();
      load_tile<kLower>(left + kTileRows * left_stride + step * kStepDepth, left_bytes);
      add_products<kLowerLeft, kLower, kLeft>();
      if constexpr (!kHasRight) continue;
      load_tile<kRight>(right + panels.stride + step * kTileValues, kCacheLine);
      add_products<kUpperRight, kUpper, kRight>();
      add_products<kLowerRight, kLower, kRight>();
    }
    store_tile<kUpperLeft>(upper, out_bytes);
    store_tile<kLowerLeft>(lower, out_bytes);
    if constexpr (kHasRight) store_tile<kUpperRight>(upper + kLanes, out_bytes);
    if constexpr (kHasRight) store_tile<kLowerRight>(lower + kLanes, out_bytes);
  }

  template <int kSums, bool kAdd>
  static void begin(const float* out, int64_t out_bytes) {
    if constexpr (kAdd) {
      load_tile<kSums>(out, out_bytes);
    } else {
      zero_tile<kSums>();
    }
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
