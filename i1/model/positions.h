// Where tokens are: the fixed sine/cosine table of the image tokens, and RoPE over (time, row,
// column).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "i1/model/config.h"

namespace i1 {

/// Fixed positions added to the image tokens, (1, rows * columns, D) float32, row-major. The first
/// half of the channels encodes the column index, the second the row, each [sin | cos] with
/// frequencies 10000^(-k / (D / 4)); indices count from `first` (row, column) and are multiplied by
/// `scale`. Computed in float64. Reference: torch_train/models/dit.py,
/// _get_interpolated_pos_embed.
at::Tensor make_pos_embed(int64_t hidden_size, int64_t rows, int64_t columns, double scale,
                          const std::array<double, 2>& first = {});

/// cos and sin of position * scale * theta^(-2k / dim) for each axis: (length, dim / 2) float32, as
/// checkpoints store them. Angles in float32, as in the reference.
struct RopeTables {
  std::array<at::Tensor, 3> cos_tables, sin_tables;  ///< time, row, column

  static void fields(auto& self, auto&& visit) {
    visit("cos_tables", self.cos_tables);
    visit("sin_tables", self.sin_tables);
  }
};

/// Tables for a grid of rows x columns tokens, counted from `first`.
RopeTables make_rope_tables(const ModelConfig& config, int64_t rows, int64_t columns, double scale,
                            const std::array<double, 2>& first = {});

/// The angles of each row of a packed buffer: cos and sin, (N, E / 2) float32. Neighbouring channel
/// pairs share an angle.
struct RopeAngles {
  at::Tensor cos, sin;
};

/// Image tokens of sample b sit at (num_text[b], row, column), text tokens at (time_positions, 0,
/// 0); indices beyond a table take its last entry. num_text: (B) int64; time_positions: (N_text)
/// int64.
RopeAngles rope_angles(const RopeTables& tables, int64_t rows, int64_t columns,
                       const at::Tensor& num_text, const at::Tensor& time_positions);

}  // namespace i1
