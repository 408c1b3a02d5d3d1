#include "i1/model/positions.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sin.h>

namespace i1 {
namespace {

constexpr double kPosEmbedTheta = 10000;

// (count) positions -> (count, size): [sin | cos] of position times frequency.
at::Tensor sine_cosine(const at::Tensor& positions, int64_t size) {
  const at::Tensor k = at::arange(size / 2, at::kDouble) / (static_cast<double>(size) / 2);
  const at::Tensor angles =
      at::outer(positions, 1.0 / at::pow(kPosEmbedTheta, k));  // (count, size / 2)
  return at::cat({at::sin(angles), at::cos(angles)}, 1);
}

at::Tensor take_rows(const at::Tensor& table, const at::Tensor& positions) {
  return table.index_select(0, at::clamp_max(positions, table.size(0) - 1));
}

}  // namespace

at::Tensor make_pos_embed(int64_t hidden_size, int64_t rows, int64_t columns, double scale,
                          const std::array<double, 2>& first) {
  const auto indices = [&](int64_t count, double begin) {  // scaled in float32, as the reference
    return ((at::arange(count, at::kFloat) + begin) * static_cast<float>(scale)).to(at::kDouble);
  };
  const at::Tensor by_column =
      sine_cosine(indices(columns, first[1]), hidden_size / 2);  // (columns, D / 2)
  const at::Tensor by_row = sine_cosine(indices(rows, first[0]), hidden_size / 2);  // (rows, D / 2)
  return at::cat({by_column.unsqueeze(0).expand({rows, -1, -1}),
                  by_row.unsqueeze(1).expand({-1, columns, -1})},
                 2)
      .reshape({1, rows * columns, hidden_size})
      .to(at::kFloat);
}

RopeTables make_rope_tables(const ModelConfig& config, int64_t rows, int64_t columns, double scale,
                            const std::array<double, 2>& first) {
  std::array<int64_t, 3> lengths = {config.num_text_tokens + 1, rows, columns};
  for (size_t axis = 0; axis < config.rope_axes_lens.size(); ++axis)
    lengths[axis] = config.rope_axes_lens[axis];
  const std::array<double, 3> scales = {1, scale, scale}, begins = {0, first[0], first[1]};
  RopeTables tables;
  for (size_t axis = 0; axis < 3; ++axis) {
    const int64_t dim = config.rope_dims()[axis];
    const at::Tensor steps = at::arange(0, dim, 2, at::kFloat);
    const at::Tensor frequencies = 1.0 / at::pow(config.rope_theta, steps / dim);
    const at::Tensor positions =
        (at::arange(lengths[axis], at::kFloat) + begins[axis]) * scales[axis];
    const at::Tensor angles =
        positions.unsqueeze(1) * frequencies.unsqueeze(0);  // (length, dim / 2)
    tables.cos_tables[axis] = at::cos(angles);
    tables.sin_tables[axis] = at::sin(angles);
  }
  return tables;
}

RopeAngles rope_angles(const RopeTables& tables, int64_t rows, int64_t columns,
                       const at::Tensor& num_text, const at::Tensor& time_positions) {
  const int64_t B = num_text.size(0), I = rows * columns, num_text_rows = time_positions.size(0);
  const auto options = time_positions.options();
  const at::Tensor row_ids =
      at::arange(rows, options).unsqueeze(1).expand({rows, columns}).reshape({I});
  const at::Tensor column_ids =
      at::arange(columns, options).unsqueeze(0).expand({rows, columns}).reshape({I});
  const auto angles = [&](const std::array<at::Tensor, 3>& axes, float at_origin) {
    const at::Tensor grid =
        at::cat({take_rows(axes[1], row_ids), take_rows(axes[2], column_ids)}, 1);  // (I, ..)
    const at::Tensor time = take_rows(axes[0], num_text);                           // (B, ..)
    const at::Tensor image =
        at::cat({time.unsqueeze(1).expand({B, I, -1}), grid.unsqueeze(0).expand({B, I, -1})}, 2);
    const int64_t num_origin = axes[1].size(1) + axes[2].size(1);
    const at::Tensor origin = at::full({num_origin}, at_origin, axes[0].options());
    const at::Tensor text = at::cat(
        {take_rows(axes[0], time_positions), origin.unsqueeze(0).expand({num_text_rows, -1})}, 1);
    return at::cat({image.flatten(0, 1), text}).contiguous();  // (N, E / 2)
  };
  return {angles(tables.cos_tables, 1), angles(tables.sin_tables, 0)};
}

}  // namespace i1
