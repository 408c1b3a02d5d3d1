#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace i1 {

struct Qkv {
  at::Tensor q, k, v;  ///< each (N, H, E)
};

/// Splits the output of a qkv projection into heads, normalises q and k over head_dim (QK-norm,
/// RMS, float32 statistics), and turns neighbouring channel pairs of both by the token's angles
/// (RoPE, Su et al. 2021, eq. 34):
///
///     (a, b) -> (a cos - b sin, a sin + b cos)
///
/// qkv: (N, 3 * H * E) as [q | k | v], each head-major; float32 or bfloat16, contiguous.
/// q_scale, k_scale: (E) float32; undefined = no QK-norm. cos, sin: (N, E / 2) float32; undefined =
/// no RoPE. Differentiable in qkv, q_scale and k_scale. v may be a view of qkv.
Qkv qk_norm_rope(const at::Tensor& qkv, int64_t num_heads, const at::Tensor& q_scale,
                 const at::Tensor& k_scale, const at::Tensor& cos, const at::Tensor& sin,
                 double eps = 1e-6);

namespace reference {
Qkv qk_norm_rope(const at::Tensor& qkv, int64_t num_heads, const at::Tensor& q_scale,
                 const at::Tensor& k_scale, const at::Tensor& cos, const at::Tensor& sin,
                 double eps = 1e-6);
}  // namespace reference

}  // namespace i1
