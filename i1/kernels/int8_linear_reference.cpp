#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "i1/kernels/int8_linear.h"
#include "i1/kernels/int8_linear_kernels.h"

namespace i1::reference {

Int8Rows quantize_to_int8(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);  // (N, K)
  const at::Tensor most = wide.abs().amax(1, /*keepdim=*/true) + (wide - wide).sum(1, true);
  const at::Tensor is_used = most >= 1e-30f;  // (N, 1)
  const at::Tensor factor = at::where(is_used, 127 / most, at::zeros_like(most));
  const at::Tensor values = at::where(is_used, at::round(wide * factor), at::zeros_like(wide));
  const at::Tensor scale = at::where(most < 1e-30f, at::zeros_like(most), most / 127);  // (N, 1)
  return {values.to(at::kChar), scale.squeeze(1)};
}

at::Tensor pack_int8(const at::Tensor& weight) {
  using namespace kernels;
  const int64_t panels = num_panels(weight.size(0)), groups = num_groups(weight.size(1));
  const at::Tensor padded = at::constant_pad_nd(
      weight,
      {0, groups * kGroupDepth - weight.size(1), 0, panels * kPanelColumns - weight.size(0)});
  return padded.view({panels, kPanelColumns, groups, kGroupDepth})
      .transpose(1, 2)
      .contiguous()
      .view(at::kByte)
      .bitwise_xor(0x80);
}

at::Tensor int8_linear(const at::Tensor& x, const Int8Weights& layer) {
  const Int8Rows rows = quantize_to_int8(x.flatten(0, -2));
  const at::Tensor weight = unpack_int8(layer.panels, layer.row_scale.size(0), x.size(-1));
  const at::Tensor sums = at::linear(rows.values.to(at::kDouble), weight.to(at::kDouble));
  const at::Tensor y = sums * rows.scale.unsqueeze(1) * layer.row_scale + layer.bias;  // float64
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return y.to(x.scalar_type()).view(sizes);
}

}  // namespace i1::reference
