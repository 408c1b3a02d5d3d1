#include "i1/kernels/int8_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "i1/kernels/amx.h"
#include "i1/kernels/dispatch.h"
#include "i1/kernels/int8_linear_kernels.h"
#include "i1/kernels/linear.h"

namespace i1 {
namespace {

using namespace kernels;

using Product = void (*)(const Int8Product&, int64_t, int64_t);

// None where the processor has none of the instructions.
Product product_of(const at::Tensor& x, int64_t block_depth) {
  static const bool has_tiles = has_amx();
  static const Product by_vectors = has_vnni()   ? &int8_product_vnni
                                    : has_avx2() ? &int8_product_avx2
                                                 : nullptr;
  if (backend_of(x) != Backend::kCpu) return nullptr;
  return has_tiles && block_depth % kRowPadding == 0 ? &int8_product_amx : by_vectors;
}

void check_layer(const at::Tensor& x, const Int8Weights& layer) {
  const auto& [panels, row_scale, bias] = layer;
  TORCH_CHECK(x.dim() >= 1 && panels.dim() == 4 && panels.scalar_type() == at::kByte &&
                  panels.is_contiguous() && row_scale.scalar_type() == at::kFloat &&
                  panels.size(0) == num_panels(row_scale.numel()) &&
                  panels.size(1) == num_groups(x.size(-1)) && bias.numel() == row_scale.numel() &&
                  bias.scalar_type() == x.scalar_type(),
              "int8_linear: x is ", x.sizes(), " ", x.scalar_type(), ", the weight's panels ",
              panels.sizes(), " ", panels.scalar_type(), ", its scales ", row_scale.sizes(), " ",
              row_scale.scalar_type(), ", the bias ", bias.sizes(), " ", bias.scalar_type());
}

// One panel of the weight (out, in): for every 4 inputs 32 groups of 4 bytes. A cache line of each
// row at a time, so that what it is spread over stays in the first-level cache.
void pack_panel(const int8_t* weight, int64_t out, int64_t in, int64_t panel, uint8_t* to) {
  constexpr int64_t kLine = 64;
  constexpr uint32_t kOffsets = 0x80808080;
  for (int64_t depth = 0; depth < in; depth += kLine) {
    const int64_t count = std::min(kLine, in - depth);
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const int64_t row = panel * kPanelColumns + c;
      uint32_t line[kLine / kGroupDepth] = {};
      if (row < out && count == kLine) {
        std::memcpy(line, weight + row * in + depth, kLine);
      } else if (row < out) {
        std::memcpy(line, weight + row * in + depth, static_cast<size_t>(count));
      }
      uint8_t* group = to + (depth * kPanelColumns + c * kGroupDepth);
      for (int64_t g = 0; g < num_groups(count); ++g) {
        const uint32_t four = line[g] ^ kOffsets;
        std::memcpy(group + g * kPanelColumns * kGroupDepth, &four, sizeof four);
      }
    }
  }
}

struct QuantizedRows {
  at::Tensor values;      // (N, padded_depth(K)) int8, zeros behind K
  at::Tensor scale, sum;  // (N, blocks) float32, int32
};

QuantizedRows quantize(const at::Tensor& x, int64_t block_depth) {
  const at::Tensor rows = as_rows(x, x.size(1));
  const int64_t N = rows.size(0), K = rows.size(1), blocks = num_blocks(K, block_depth);
  const QuantizedRows result{at::empty({N, padded_depth(K)}, rows.options().dtype(at::kChar)),
                             at::empty({N, blocks}, rows.options().dtype(at::kFloat)),
                             at::empty({N, blocks}, rows.options().dtype(at::kInt))};
  const QuantizeRows op{.x = rows.const_data_ptr(),
                        .stride = rows.stride(0),
                        .rows = N,
                        .K = K,
                        .block_depth = block_depth,
                        .values = result.values.mutable_data_ptr<int8_t>(),
                        .scale = result.scale.mutable_data_ptr<float>(),
                        .sum = result.sum.mutable_data_ptr<int32_t>(),
                        .element = element_of(rows)};
  parallel(N, 2 * K, [&](int64_t begin, int64_t end) { quantize_rows_cpu(op, begin, end); });
  return result;
}

// Rows [begin, begin + count) of the quantized x through one layer, into the same rows of y.
Int8Product product_op(const QuantizedRows& x, const Int8Weights& layer, at::Tensor& y,
                       int64_t begin, int64_t count, int64_t block_depth) {
  return {.x = x.values.const_data_ptr<int8_t>() + begin * x.values.size(1),
          .x_scale = x.scale.const_data_ptr<float>() + begin * x.scale.size(1),
          .x_sum = x.sum.const_data_ptr<int32_t>() + begin * x.sum.size(1),
          .panels = layer.panels.const_data_ptr<uint8_t>(),
          .scale = layer.row_scale.const_data_ptr<float>(),
          .bias = layer.bias.const_data_ptr(),
          .rows = count,
          .groups = layer.panels.size(1),
          .F = y.size(1),
          .block_depth = block_depth,
          .y = static_cast<char*>(y.mutable_data_ptr()) + begin * y.stride(0) * y.element_size(),
          .y_stride = y.stride(0),
          .element = element_of(y)};
}

}  // namespace

Int8Rows quantize_to_int8(const at::Tensor& x, int64_t block_depth) {
  TORCH_CHECK(x.dim() == 2 && block_depth > 0, "quantize_to_int8: x is ", x.sizes(),
              "; expected (N, K)");
  if (backend_of(x) != Backend::kCpu) return reference::quantize_to_int8(x, block_depth);
  const QuantizedRows rows = quantize(x, block_depth);
  return {rows.values.narrow(1, 0, x.size(1)), rows.scale};
}

at::Tensor pack_int8(const at::Tensor& weight) {
  TORCH_CHECK(weight.dim() == 2 && weight.scalar_type() == at::kChar && weight.size(1) <= kWholeRow,
              "pack_int8: the weight is ", weight.sizes(), " ", weight.scalar_type(),
              "; expected (out, in) int8 with in at most ", kWholeRow);
  if (!weight.is_cpu()) return reference::pack_int8(weight);
  const int64_t out = weight.size(0), in = weight.size(1), groups = num_groups(in);
  const at::Tensor rows = weight.contiguous();
  const at::Tensor panels =
      at::empty({num_panels(out), groups, kPanelColumns, kGroupDepth}, at::kByte);
  const int8_t* from = rows.const_data_ptr<int8_t>();
  auto* to = panels.mutable_data_ptr<uint8_t>();
  parallel(panels.size(0), groups * kPanelColumns, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel)
      pack_panel(from, out, in, panel, to + panel * groups * kPanelColumns * kGroupDepth);
  });
  return panels;
}

at::Tensor unpack_int8(const at::Tensor& panels, int64_t out, int64_t in) {
  return panels.bitwise_xor(0x80)
      .view(at::kChar)
      .transpose(1, 2)
      .reshape({panels.size(0) * kPanelColumns, panels.size(1) * kGroupDepth})
      .narrow(0, 0, out)
      .narrow(1, 0, in);
}

at::Tensor widen_int8(const at::Tensor& weight, const at::Tensor& row_scale, at::ScalarType dtype) {
  TORCH_CHECK(weight.dim() == 2 && weight.scalar_type() == at::kChar &&
                  row_scale.scalar_type() == at::kFloat && row_scale.numel() == weight.size(0),
              "widen_int8: the weight is ", weight.sizes(), " ", weight.scalar_type(),
              ", its scales ", row_scale.sizes(), " ", row_scale.scalar_type());
  const at::Tensor wide = at::empty(weight.sizes(), weight.options().dtype(dtype));
  if (backend_of(wide) != Backend::kCpu) return reference::widen_int8(weight, row_scale, dtype);
  const at::Tensor rows = weight.contiguous(), scale = row_scale.contiguous();
  const WidenRows op{.weight = rows.const_data_ptr<int8_t>(),
                     .scale = scale.const_data_ptr<float>(),
                     .columns = rows.size(1),
                     .wide = wide.mutable_data_ptr(),
                     .element = element_of(wide)};
  parallel(rows.size(0), rows.size(1),
           [&](int64_t begin, int64_t end) { widen_rows_cpu(op, begin, end); });
  return wide;
}

at::Tensor widened_linear(const at::Tensor& x, const Int8Weights& layer) {
  check_layer(x, layer);
  const at::Tensor weight = unpack_int8(layer.panels, layer.row_scale.size(0), x.size(-1));
  return linear(x, (weight * layer.row_scale.unsqueeze(1)).to(x.scalar_type()), layer.bias);
}

at::Tensor int8_linear(const at::Tensor& x, const Int8Weights& layer, int64_t block_depth) {
  check_layer(x, layer);
  const bool is_on_gpu = x.is_cuda() && x.scalar_type() != at::kDouble;
  if (!is_on_gpu && backend_of(x) == Backend::kReference)
    return reference::int8_linear(x, layer, block_depth);
  if (!is_on_gpu && product_of(x, block_depth) == nullptr) return widened_linear(x, layer);
  const at::Tensor rows = x.dim() == 2 ? x : x.flatten(0, -2);  // (N, in)
  const at::Tensor y = is_on_gpu ? int8_product_libtorch(rows, layer, block_depth)
                                 : joint_int8_linear(rows, rows.size(0), layer, layer, block_depth);
  if (x.dim() == 2) return y;
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = y.size(1);
  return y.view(sizes);
}

at::Tensor joint_int8_linear(const at::Tensor& x, int64_t num_image_rows, const Int8Weights& image,
                             const Int8Weights& text, int64_t block_depth) {
  check_layer(x, image);
  check_layer(x, text);
  const int64_t N = x.size(0), M = num_image_rows, F = image.row_scale.size(0);
  TORCH_CHECK(x.dim() == 2 && M >= 0 && M <= N && text.row_scale.size(0) == F &&
                  block_depth % kGroupDepth == 0,
              "joint_int8_linear: x is ", x.sizes(), ", its first ", M,
              " rows are image rows, and ", F, " and ", text.row_scale.size(0),
              " outputs are asked for");
  at::Tensor y = at::empty({N, F}, x.options());  // (N, out)
  const Product product = product_of(x, block_depth);
  if (product == nullptr) {
    y.narrow(0, 0, M).copy_(int8_linear(x.narrow(0, 0, M), image, block_depth));
    y.narrow(0, M, N - M).copy_(int8_linear(x.narrow(0, M, N - M), text, block_depth));
    return y;
  }
  const QuantizedRows rows = quantize(x, block_depth);
  const Int8Product image_op = product_op(rows, image, y, 0, M, block_depth);
  const Int8Product text_op = product_op(rows, text, y, M, N - M, block_depth);
  parallel(num_panels(F), 2 * N * kPanelColumns, [&](int64_t begin, int64_t end) {
    product(image_op, begin, end);
    product(text_op, begin, end);
  });
  return y;
}

}  // namespace i1
