#pragma once

#include <optional>

#include "i1/kernels/qk_norm_rope.h"
#include "i1/model/components.h"
#include "i1/model/positions.h"

namespace i1 {

/// From the output of a qkv projection (N, 3D) to heads (N, H, E): QK-norm, then RoPE. `angles` may
/// be undefined. RMS norms go through the fused kernel, LayerNorms through plain operations.
Qkv split_heads(const at::Tensor& qkv, int64_t num_heads, const std::optional<Norm>& q_norm,
                const std::optional<Norm>& k_norm, const RopeAngles& angles);

}  // namespace i1
