#include "i1/model/attention_heads.h"

#include <ATen/ops/cat.h>

namespace i1 {

Qkv split_heads(const at::Tensor& qkv, int64_t num_heads, const std::optional<Norm>& q_norm,
                const std::optional<Norm>& k_norm, const RopeAngles& angles) {
  if (!q_norm || !q_norm->bias) {
    return qk_norm_rope(qkv, num_heads, q_norm ? q_norm->scale : at::Tensor(),
                        k_norm ? k_norm->scale : at::Tensor(), angles.cos, angles.sin, kNormEps);
  }
  const at::Tensor heads = qkv.unflatten(-1, {3, num_heads, -1});  // (N, 3, H, E)
  const at::Tensor q = apply(*q_norm, heads.select(1, 0)), k = apply(*k_norm, heads.select(1, 1));
  const at::Tensor normed =
      at::cat({q.flatten(1), k.flatten(1), heads.select(1, 2).flatten(1)}, 1);  // (N, 3D)
  return qk_norm_rope(normed, num_heads, {}, {}, angles.cos, angles.sin, kNormEps);
}

}  // namespace i1
