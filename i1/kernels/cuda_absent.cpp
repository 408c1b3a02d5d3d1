// Stands for the CUDA kernels in a program built without them: nothing here can be reached, because
// backend_of asks has_cuda_kernels first.
#include "i1/core/error.h"
#include "i1/kernels/adam_kernels.h"
#include "i1/kernels/column_sum.h"
#include "i1/kernels/cuda_stream.h"
#include "i1/kernels/qk_norm_rope_kernels.h"
#include "i1/kernels/rms_norm_kernels.h"
#include "i1/kernels/swiglu_kernels.h"

namespace i1::kernels {
namespace {

[[noreturn]] void absent() {
  throw Failure("this program was built without CUDA kernels; configure with --preset cuda");
}

}  // namespace

bool has_cuda_kernels() { return false; }
Stream current_cuda_stream(int) { absent(); }
void adam_cuda(const AdamTensor&, const AdamFactors&, AdamSums*, Stream) { absent(); }
void sum_of_squares_cuda(const void*, Element, int64_t, double*, Stream) { absent(); }
void column_sum_cuda(const ColumnSum&, Stream) { absent(); }
void rms_norm_forward_cuda(const RmsNormForward&, Stream) { absent(); }
void rms_norm_backward_cuda(const RmsNormBackward&, Stream) { absent(); }
void qk_norm_rope_forward_cuda(const QkNormRopeForward&, Stream) { absent(); }
void qk_norm_rope_backward_cuda(const QkNormRopeBackward&, Stream) { absent(); }
void swiglu_forward_cuda(const SwigluForward&, Stream) { absent(); }
void swiglu_backward_cuda(const SwigluBackward&, Stream) { absent(); }

}  // namespace i1::kernels
