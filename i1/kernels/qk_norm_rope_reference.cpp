#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>

#include "i1/kernels/qk_norm_rope.h"
#include "i1/kernels/rms_norm.h"

namespace i1::reference {
namespace {

// x: (N, H, E); cos, sin: (N, E / 2)
at::Tensor rotate_pairs(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const at::Tensor wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
  const at::Tensor pairs = wide.unflatten(-1, {-1, 2});               // (N, H, E/2, 2)
  const at::Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);  // (N, H, E/2)
  const at::Tensor c = cos.unsqueeze(1), s = sin.unsqueeze(1);        // (N, 1, E/2)
  return at::stack({a * c - b * s, a * s + b * c}, -1)
      .flatten(-2)
      .to(x.scalar_type());  // (N, H, E)
}

}  // namespace

Qkv qk_norm_rope(const at::Tensor& qkv, int64_t num_heads, const at::Tensor& q_scale,
                 const at::Tensor& k_scale, const at::Tensor& cos, const at::Tensor& sin,
                 double eps) {
  const at::Tensor heads = qkv.unflatten(-1, {3, num_heads, -1});  // (N, 3, H, E)
  at::Tensor q = heads.select(1, 0), k = heads.select(1, 1);       // (N, H, E)
  if (q_scale.defined()) q = reference::rms_norm(q, q_scale, eps);
  if (k_scale.defined()) k = reference::rms_norm(k, k_scale, eps);
  if (cos.defined()) {
    q = rotate_pairs(q, cos, sin);
    k = rotate_pairs(k, cos, sin);
  }
  return {q, k, heads.select(1, 2)};
}

}  // namespace i1::reference
