#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>

#include "i1/kernels/int8_linear.h"
#include "i1/kernels/int8_linear_kernels.h"

namespace i1::reference {

Int8Rows quantize_to_int8(const at::Tensor& x, int64_t block_depth) {
  std::vector<at::Tensor> values, scales;
  for (const at::Tensor& block : x.to(at::kFloat).split(block_depth, 1)) {  // (N, block_depth)
    const at::Tensor most = block.abs().amax(1, true) + (block - block).sum(1, true);  // (N, 1)
    const at::Tensor is_used = most >= 1e-30f, none = at::zeros_like(most);
    const at::Tensor factor = at::where(is_used, 127 / most, none);
    values.push_back(at::where(is_used, at::round(block * factor), at::zeros_like(block)));
    scales.push_back(at::where(most < 1e-30f, none, most / 127));
  }
  return {at::cat(values, 1).to(at::kChar), at::cat(scales, 1)};
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

at::Tensor widen_int8(const at::Tensor& weight, const at::Tensor& row_scale, at::ScalarType dtype) {
  return (weight.to(at::kFloat) * row_scale.unsqueeze(1)).to(dtype);
}

at::Tensor int8_linear(const at::Tensor& x, const Int8Weights& layer, int64_t block_depth) {
  const int64_t in = x.size(-1);
  const auto [values, scale] = quantize_to_int8(x.flatten(0, -2), block_depth);
  const at::Tensor factors =
      scale.repeat_interleave(std::min(block_depth, in), 1).narrow(1, 0, in);  // (N, in)
  const at::Tensor weight = unpack_int8(layer.panels, layer.row_scale.size(0), in);
  const at::Tensor sums =
      at::linear(values.to(at::kDouble) * factors, weight.to(at::kDouble));  // (N, out)
  const at::Tensor y = sums * layer.row_scale + layer.bias;                  // float64
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return y.to(x.scalar_type()).view(sizes);
}

}  // namespace i1::reference
