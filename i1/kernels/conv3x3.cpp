#include "i1/kernels/conv3x3.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "i1/kernels/conv3x3_kernels.h"
#include "i1/kernels/dispatch.h"

namespace i1 {
namespace {

using namespace kernels;

constexpr int64_t kCacheFloats = (3 << 20) / 4;  // of a block's tiles, before and after products

at::Tensor packed_weights(const at::Tensor& weight) {
  const int64_t F = weight.size(0), C = weight.size(1);
  const int64_t num_panels = (F + kConvPanel - 1) / kConvPanel;
  const at::Tensor packed = at::empty({kConvPoints, num_panels, C, kConvPanel}, weight.options());
  const Conv3x3Weights op{
      .weight = weight.const_data_ptr<float>(),
      .strides = {weight.stride(0), weight.stride(1), weight.stride(2), weight.stride(3)},
      .in = C,
      .out = F,
      .packed = packed.mutable_data_ptr<float>()};
  parallel(num_panels, kConvPoints * C * kConvPanel,
           [&](int64_t begin, int64_t end) { conv3x3_pack(op, begin, end); });
  return packed;
}

at::Tensor run(const at::Tensor& map, const at::Tensor& weight,
               const std::optional<at::Tensor>& bias) {
  const at::Tensor x = map.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t B = x.size(0), C = x.size(1), H = x.size(2), W = x.size(3), F = weight.size(0);
  const at::Tensor packed = packed_weights(weight), b = bias ? bias->contiguous() : at::Tensor();
  const at::Tensor y = at::empty({B, F, H, W}, x.options(), at::MemoryFormat::ChannelsLast);
  const int64_t tiles = std::clamp<int64_t>(kCacheFloats / (kConvPoints * (C + F)), 24, 192);
  const Conv3x3 op{.x = x.const_data_ptr<float>(),
                   .B = B,
                   .H = H,
                   .W = W,
                   .in = C,
                   .out = F,
                   .packed = packed.const_data_ptr<float>(),
                   .bias = bias ? b.const_data_ptr<float>() : nullptr,
                   .tiles = tiles / kConvRows * kConvRows,
                   .y = y.mutable_data_ptr<float>()};
  parallel((op.num_tiles() + op.tiles - 1) / op.tiles, op.tiles * kConvPoints * C * F,
           [&](int64_t begin, int64_t end) { conv3x3_cpu(op, begin, end); });
  return y;
}

}  // namespace

at::Tensor conv3x3(const at::Tensor& x, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias) {
  TORCH_CHECK(weight.dim() == 4 && weight.size(1) == x.size(1) && weight.size(2) == 3 &&
                  weight.size(3) == 3,
              "conv3x3: weight is ", weight.sizes(), "; expected (out, ", x.size(1), ", 3, 3)");
  const bool is_ours = x.scalar_type() == at::kFloat && backend_of(x) == Backend::kCpu;
  return is_ours ? run(x, weight, bias) : reference::conv3x3(x, weight, bias);
}

}  // namespace i1
