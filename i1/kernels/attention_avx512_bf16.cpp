// attention_bf16-inl.h by the instruction VDPBF16PS, which adds two products of bfloat16 to each of
// 16 sums. 8 rows by two panels: 16 registers of sums.
#include <hwy/highway.h>

#include <cstring>

#include "i1/kernels/attention_kernels.h"
#include "i1/kernels/x86_intrinsics.h"

#if HWY_ARCH_X86

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
#include "i1/kernels/attention_bf16-inl.h"

namespace i1::kernels {
namespace {

// Not by the intrinsic, around which GCC 12 copies every sum.
HWY_INLINE __m512 add_products(__m512 sum, __m512i left, __m512i right) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(left), "v"(right));
  return sum;
}

struct VectorProducts {
  // All steps at the first: sums stay in registers.
  void step(const Job& job, int64_t step) const {
    if (step > 0) return;
    const auto run = job.has_two ? (job.is_added ? tile<true, 2> : tile<false, 2>)
                                 : (job.is_added ? tile<true, 1> : tile<false, 1>);
    for (int64_t row = 0; row < kRows; row += kTileRows) run(job, row);
  }

 private:
  static constexpr int kTileRows = 8;

  template <bool kAdd, int P>
  static void tile(const Job& job, int64_t row) {
    const int64_t num_pairs = job.num_steps * kStepDepth / 2;
    const int64_t left_stride = job.left_stride, out_stride = job.out_stride;
    const uint16_t *left = job.left + row * left_stride, *right = job.right;
    float* out = job.out + row * out_stride;
    __m512 sums[kTileRows][P];
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p)
        sums[r][p] = kAdd ? _mm512_load_ps(out + r * out_stride + p * kLanes) : _mm512_setzero_ps();
    }
    for (int64_t d = 0; d < num_pairs; ++d) {
      __m512i columns[P];
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p)
        columns[p] = _mm512_load_si512(right + p * job.panel_stride + d * 2 * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kTileRows; ++r) {
        int32_t two;
        std::memcpy(&two, left + r * left_stride + 2 * d, sizeof two);
        const __m512i factor = _mm512_set1_epi32(two);
#pragma GCC unroll 2
        for (int p = 0; p < P; ++p) sums[r][p] = add_products(sums[r][p], factor, columns[p]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) _mm512_store_ps(out + r * out_stride + p * kLanes, sums[r][p]);
    }
  }
};

}  // namespace

int64_t attention_bf16_scratch(int64_t count, int64_t head_dim) {
  AttentionHead head{};
  head.count = count;
  head.head_dim = head_dim;
  return Scratch(head, nullptr).num_bytes + kCacheLine;
}

void attention_forward_avx512_bf16(const AttentionHead& head, void* scratch) {
  attention_forward<VectorProducts>(head, scratch);
}

}  // namespace i1::kernels
HWY_POP_ATTRIBUTES

bool i1::kernels::has_avx512_bf16() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

#else

bool i1::kernels::has_avx512_bf16() { return false; }
int64_t i1::kernels::attention_bf16_scratch(int64_t, int64_t) { return 0; }
void i1::kernels::attention_forward_avx512_bf16(const AttentionHead&, void*) {}

#endif
