// oneDNN's bfloat16 GEMM: with AMX, or where the CPU has no products of bfloat16, a few results
// depend on the numbers of rows and threads, and weights are packed at every call. Products of our
// own, or in float32, stand in for it there. With VDPBF16PS alone none did.
//
// MKL's float32 GEMM sums in an order that depends on the numbers of rows and threads. On Intel's
// processors, and on AMD's without AVX-512, its strict mode mends that. On AMD's with AVX-512 the
// mode changes nothing, and the order depends on the number of rows below 4, and on the number of
// threads where each has few results to make: up to 1,700 of them, over 22 widths, 24 numbers of
// rows and 16 threads.
#include "i1/kernels/linear.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <cstdlib>

#include "i1/kernels/amx.h"
#include "i1/kernels/attention_kernels.h"
#include "i1/kernels/dispatch.h"
#include "i1/kernels/linear_kernels.h"

// MKL's, where LibTorch carries MKL: the number of threads of this thread's calls; returns the one
// before, 0 for none set.
extern "C" __attribute__((weak)) int MKL_Set_Num_Threads_Local(int num_threads);

namespace i1 {
namespace {

constexpr int64_t kFewestRows = 4, kFewResultsAThread = 4096;

// Before any product of the process: MKL reads it at its first. A user's own choice stays.
[[maybe_unused]] const int is_strict = setenv("MKL_CBWR", "AUTO,STRICT", /*overwrite=*/0);

bool is_multiplied_by_mkl(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && MKL_Set_Num_Threads_Local != nullptr;
}

class OneThread {
 public:
  ~OneThread() { MKL_Set_Num_Threads_Local(before_); }

 private:
  int before_ = MKL_Set_Num_Threads_Local(1);
};

// Weights are read as they lie.
void linear_by_tiles(const at::Tensor& x, const at::Tensor& weight,
                     const std::optional<at::Tensor>& bias, at::Tensor& y) {
  using namespace kernels;
  const at::Tensor from = as_rows(x, x.size(1)), b = bias ? bias->contiguous() : at::Tensor();
  const int64_t N = x.size(0), K = x.size(1), F = weight.size(0);
  const int64_t num_panels = (N + kLinearPanelRows - 1) / kLinearPanelRows;
  const at::Tensor panels = at::empty({num_panels * kLinearPanelRows, K}, x.options());
  const auto values = [](const at::Tensor& tensor) {
    return static_cast<const uint16_t*>(tensor.const_data_ptr());
  };
  auto* packed = static_cast<uint16_t*>(panels.mutable_data_ptr());
  const PackRows pack{
      .x = values(from), .stride = from.stride(0), .rows = N, .depth = K, .panels = packed};
  parallel(num_panels, kLinearPanelRows * K,
           [&](int64_t begin, int64_t end) { pack_rows_amx(pack, begin, end); });
  const LinearBfloat16 product{.panels = packed,
                               .rows = N,
                               .depth = K,
                               .weight = values(weight),
                               .weight_stride = weight.stride(0),
                               .out = F,
                               .bias = bias ? values(b) : nullptr,
                               .y = static_cast<uint16_t*>(y.mutable_data_ptr()),
                               .y_stride = y.stride(0)};
  parallel((F + kLinearBlockOutputs - 1) / kLinearBlockOutputs, kLinearBlockOutputs * K,
           [&](int64_t begin, int64_t end) { linear_amx(product, begin, end); });
}

}  // namespace

void in_fixed_order(const at::Tensor& x, int64_t num_rows, int64_t num_columns,
                    const std::function<void()>& product) {
  const int num_threads = at::get_num_threads();
  if (num_threads == 1 || !is_multiplied_by_mkl(x) ||
      num_rows * num_columns >= kFewResultsAThread * num_threads)
    return product();
  const OneThread scope;
  product();
}

at::Tensor with_enough_rows(const at::Tensor& x) {
  const int64_t num_rows = x.size(0);
  if (num_rows == 0 || num_rows >= kFewestRows || !is_multiplied_by_mkl(x)) return x;
  return at::constant_pad_nd(x, {0, 0, 0, kFewestRows - num_rows});
}

bool linear_by_own(const at::Tensor& x, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias, at::Tensor& y) {
  if (!x.is_cpu() || x.scalar_type() != at::kBFloat16 || weight.scalar_type() != at::kBFloat16)
    return false;
  const int64_t depth = x.size(1);
  const bool fits = depth > 0 && depth % kernels::kLinearDepthUnit == 0 && weight.stride(1) == 1;
  if (kernels::has_amx() && fits) {
    linear_by_tiles(x, weight, bias, y);
    return true;
  }
  if (kernels::has_avx512_bf16() && !kernels::has_amx()) return false;
  const auto wide_bias = bias ? std::optional(bias->to(at::kFloat)) : std::nullopt;
  y.copy_(i1::linear(x.to(at::kFloat), weight.to(at::kFloat), wide_bias));
  return true;
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias) {
  const at::Tensor rows = x.dim() == 2 ? x : x.flatten(0, -2);  // (N, in)
  const at::Tensor enough = with_enough_rows(rows);
  const bool has_backward =
      at::GradMode::is_enabled() &&
      (x.requires_grad() || weight.requires_grad() || (bias && bias->requires_grad()));
  at::Tensor y;
  if (!has_backward) y = at::empty({rows.size(0), weight.size(0)}, x.options());
  if (has_backward || !linear_by_own(rows, weight, bias, y)) {
    in_fixed_order(x, enough.size(0), weight.size(0),
                   [&] { y = at::linear(enough, weight, bias).narrow(0, 0, rows.size(0)); });
  }
  if (x.dim() == 2) return y;
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return y.reshape(sizes);
}

}  // namespace i1
