#include "i1/kernels/map_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "i1/kernels/dispatch.h"
#include "i1/kernels/map_norm_kernels.h"

namespace i1 {
namespace {

using namespace kernels;

// Adds the sums of each row of pixels, in the order of the rows. sums: (2, B, C)
void add_rows(const at::Tensor& rows, const at::Tensor& sums) {
  const at::Tensor x = rows.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t B = x.size(0), C = x.size(1), H = x.size(2), W = x.size(3);
  const at::Tensor row_sums = at::empty({B, H, 2, C}, sums.options());
  const MapRowSums op{.x = x.const_data_ptr(),
                      .rows = B * H,
                      .W = W,
                      .C = C,
                      .sums = row_sums.mutable_data_ptr<double>(),
                      .element = element_of(x)};
  parallel(B * H, 2 * W * C, [&](int64_t begin, int64_t end) { map_row_sums_cpu(op, begin, end); });
  for (int64_t h = 0; h < H; ++h) sums.transpose(0, 1).add_(row_sums.select(1, h));
}

at::Tensor run(const MapNorm& norm, const at::Tensor& map, bool has_silu) {
  const at::Tensor x = map.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor scale = norm.scale.to(at::kFloat).contiguous(),
                   shift = norm.shift.to(at::kFloat).contiguous();
  const int64_t B = x.size(0), C = x.size(1), H = x.size(2), W = x.size(3);
  TORCH_CHECK(scale.sizes() == at::IntArrayRef({B, C}), "map norm: scale is ", scale.sizes(),
              "; expected (", B, ", ", C, ")");
  const at::Tensor y = at::empty_like(x, {}, at::MemoryFormat::ChannelsLast);
  const MapNormApply op{.x = x.const_data_ptr(),
                        .scale = scale.const_data_ptr<float>(),
                        .shift = shift.const_data_ptr<float>(),
                        .rows = B * H,
                        .H = H,
                        .W = W,
                        .C = C,
                        .has_silu = has_silu,
                        .y = y.mutable_data_ptr(),
                        .element = element_of(x)};
  parallel(B * H, (has_silu ? 8 : 1) * W * C,
           [&](int64_t begin, int64_t end) { map_norm_apply_cpu(op, begin, end); });
  return y;
}

}  // namespace

void MapSums::add(const at::Tensor& rows) {
  if (!sums_.defined())
    sums_ = at::zeros({2, rows.size(0), rows.size(1)}, rows.options().dtype(at::kDouble));
  if (backend_of(rows) == Backend::kCpu) {
    add_rows(rows, sums_);
  } else {
    sums_ += reference::map_sums(rows);
  }
  num_pixels_ += rows.size(2) * rows.size(3);
}

MapNorm MapSums::norm(const at::Tensor& weight, const at::Tensor& bias, int64_t num_groups,
                      double eps) const {
  const int64_t B = sums_.size(1), C = sums_.size(2);
  const at::Tensor means = sums_.view({2, B, num_groups, -1}).mean(3, true) / num_pixels_;
  const at::Tensor mean = means[0];  // (B, G, 1)
  const at::Tensor variance = (means[1] - mean.square()).clamp_min(0);
  const at::Tensor factor = (variance + eps).rsqrt();
  const auto by_channel = [&](const at::Tensor& groups) {
    return groups.expand({B, num_groups, C / num_groups}).reshape({B, C});
  };
  const at::Tensor scale = by_channel(factor) * weight;
  return {scale, bias - by_channel(mean) * scale};
}

MapNorm map_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                 int64_t num_groups, double eps) {
  MapSums sums;
  sums.add(x);
  return sums.norm(weight, bias, num_groups, eps);
}

at::Tensor apply(const MapNorm& norm, const at::Tensor& x) {
  return backend_of(x) == Backend::kCpu ? run(norm, x, false) : reference::apply(norm, x);
}

at::Tensor apply_silu(const MapNorm& norm, const at::Tensor& x) {
  return backend_of(x) == Backend::kCpu ? run(norm, x, true) : reference::apply_silu(norm, x);
}

}  // namespace i1
