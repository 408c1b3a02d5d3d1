// The layers that every part of the model is made of: plain structs of tensors, named as in the
// checkpoint.
//
// Legend: N rows of a packed buffer, M its image rows, D hidden_size, H heads, E head_dim, F
// ffn_size.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "i1/core/fields.h"
#include "i1/kernels/int8_linear.h"
#include "i1/model/config.h"

namespace i1 {

constexpr double kNormEps = 1e-6;

/// A weight of int8 is packed as pack_int8 does (kernels/int8_linear.h) and comes with a factor a
/// row.
struct Linear {
  at::Tensor weight;                    ///< (out, in), or packed
  std::optional<at::Tensor> row_scale;  ///< (out) float32
  at::Tensor bias;                      ///< (out)

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("weight.row_scale", self.row_scale);
    visit("bias", self.bias);
  }
};

/// RMSNorm; with a bias, LayerNorm. Statistics and weights are float32.
struct Norm {
  at::Tensor scale;                ///< (D)
  std::optional<at::Tensor> bias;  ///< (D)

  static void fields(auto& self, auto&& visit) {
    visit("scale", self.scale);
    visit("bias", self.bias);
  }
};

/// SwiGLU: w3(silu(gate) * up), [gate | up] = w12(x), the gate first. Or GELU (tanh):
/// fc2(gelu(fc1(x))).
struct Ffn {
  std::optional<Linear> w12, w3;   ///< D -> 2F, F -> D
  std::optional<Linear> fc1, fc2;  ///< D -> F, F -> D

  static void fields(auto& self, auto&& visit) {
    visit("w12", self.w12);
    visit("w3", self.w3);
    visit("fc1", self.fc1);
    visit("fc2", self.fc2);
  }
};

/// Layers whose tensors have shapes and no memory (meta device).
at::Tensor make_tensor(at::IntArrayRef shape);
Linear make_linear_layer(int64_t in, int64_t out);
Norm make_norm(int64_t size, bool use_rms_norm);
Ffn make_ffn(const ModelConfig& config);

/// (..., in) -> (..., out). `block_depth`: how much of a row shares a factor where the layer is
/// int8 (kernels/int8_linear.h).
at::Tensor apply(const Linear& linear, const at::Tensor& x, int64_t block_depth = kWholeRow);
at::Tensor apply(const Norm& norm, const at::Tensor& x);  // (N, D) -> (N, D)
at::Tensor apply(const Ffn& ffn, const at::Tensor& x);    // (N, D) -> (N, D)

/// residual + norm(x); just the sum where there is no norm.
at::Tensor add_norm(const at::Tensor& residual, const at::Tensor& x,
                    const std::optional<Norm>& norm);

/// Rows [0, M) through the first, the others through the second.
at::Tensor apply_joint(const Linear& image, const Linear& text, const at::Tensor& x,
                       int64_t num_image_rows, int64_t block_depth = kWholeRow);
at::Tensor apply_joint(const Ffn& image, const Ffn& text, const at::Tensor& x,
                       int64_t num_image_rows);
at::Tensor apply_joint(const Norm& image, const Norm& text, const at::Tensor& x,
                       int64_t num_image_rows);

}  // namespace i1
