#include "i1/kernels/int8_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/cpu/Utils.h>
#include <ATen/ops/_int_mm.h>
#include <ATen/ops/empty.h>

#include "i1/kernels/dispatch.h"
#include "i1/kernels/int8_linear_kernels.h"
#include "i1/kernels/linear.h"

namespace i1 {
namespace {

using namespace kernels;

void check_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& row_scale,
                  const at::Tensor& bias) {
  TORCH_CHECK(weight.dim() == 2 && weight.scalar_type() == at::kChar && x.dim() >= 1 &&
                  x.size(-1) == weight.size(1) && row_scale.scalar_type() == at::kFloat &&
                  row_scale.numel() == weight.size(0) && bias.numel() == weight.size(0) &&
                  bias.scalar_type() == x.scalar_type(),
              "int8_linear: x is ", x.sizes(), " ", x.scalar_type(), ", the weight ",
              weight.sizes(), " ", weight.scalar_type(), ", its scales ", row_scale.sizes(), " ",
              row_scale.scalar_type(), ", the bias ", bias.sizes(), " ", bias.scalar_type());
}

}  // namespace

bool has_int8_products() {
  static const bool has = at::cpu::is_avx512_vnni_supported();
  return has;
}

at::Tensor widened_linear(const at::Tensor& x, const at::Tensor& weight,
                          const at::Tensor& row_scale, const at::Tensor& bias) {
  const at::Tensor wide = (weight * row_scale.unsqueeze(1)).to(x.scalar_type());  // (out, in)
  return linear(x, wide, bias);
}

Int8Rows quantize_activations(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2, "quantize_activations: x is ", x.sizes(), "; expected (N, K)");
  if (backend_of(x) != Backend::kCpu || x.size(1) == 0) return reference::quantize_activations(x);
  const at::Tensor rows = as_rows(x, x.size(1));
  const int64_t N = rows.size(0), K = rows.size(1);
  const Int8Rows result{at::empty({N, K}, rows.options().dtype(at::kChar)),
                        at::empty({N}, rows.options().dtype(at::kFloat))};
  const QuantizeRows op{.x = rows.const_data_ptr(),
                        .stride = rows.stride(0),
                        .rows = N,
                        .K = K,
                        .values = result.values.mutable_data_ptr<int8_t>(),
                        .scale = result.scale.mutable_data_ptr<float>(),
                        .element = element_of(rows)};
  parallel(N, 2 * K, [&](int64_t begin, int64_t end) { quantize_rows_cpu(op, begin, end); });
  return result;
}

void int8_linear_out(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight,
                     const at::Tensor& row_scale, const at::Tensor& bias) {
  check_linear(x, weight, row_scale, bias);
  const int64_t N = x.size(0), F = weight.size(0);
  TORCH_CHECK(y.dim() == 2 && y.size(0) == N && y.size(1) == F && y.stride(1) == 1 &&
                  y.scalar_type() == x.scalar_type(),
              "int8_linear: the result is ", y.sizes(), " ", y.scalar_type(), ", expected ", N,
              " x ", F);
  if (N == 0) return;
  if (backend_of(x) == Backend::kReference || x.size(1) == 1) {  // _int_mm: wrong for one column
    y.copy_(reference::int8_linear(x, weight, row_scale, bias));
    return;
  }
  if (!x.is_cpu() || !has_int8_products()) {
    y.copy_(widened_linear(x, weight, row_scale, bias));
    return;
  }
  const Int8Rows rows = quantize_activations(x);
  const at::Tensor sums = at::_int_mm(rows.values, weight.t());  // (N, out) int32
  const DequantizeRows op{.sums = sums.const_data_ptr<int32_t>(),
                          .row_scale = rows.scale.const_data_ptr<float>(),
                          .scale = row_scale.const_data_ptr<float>(),
                          .bias = bias.const_data_ptr(),
                          .rows = N,
                          .F = F,
                          .y = y.mutable_data_ptr(),
                          .y_stride = y.stride(0),
                          .element = element_of(y)};
  parallel(N, 2 * F, [&](int64_t begin, int64_t end) { dequantize_rows_cpu(op, begin, end); });
}

at::Tensor int8_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& row_scale,
                       const at::Tensor& bias) {
  const at::Tensor rows = x.dim() == 2 ? x : x.flatten(0, -2);  // (N, in)
  at::Tensor y = at::empty({rows.size(0), weight.size(0)}, x.options());
  int8_linear_out(y, rows, weight, row_scale, bias);
  if (x.dim() == 2) return y;
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return y.view(sizes);
}

}  // namespace i1
