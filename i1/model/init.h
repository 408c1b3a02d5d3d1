#pragma once

#include "i1/core/random.h"
#include "i1/model/dual_stream.h"

namespace i1 {

/// Fills every trained tensor, float32 on the CPU, as the reference does before training: linear
/// and patch weights from a LeCun normal cut at two sigmas and widened so that the result has std
/// sqrt(1 / fan_in); adapter input and skip linears Xavier uniform; null caption normal with std
/// text_width^-1/2; biases 0, norm scales 1. Each tensor has a stream of its own, named by its key.
/// Reference: torch_train/models/dit.py, init_weights.
void initialize(DualStream& model, const RandomStream& stream);

/// LeCun normal of a linear weight (out, in) or (out, in, k, k), as above.
at::Tensor lecun_normal(at::IntArrayRef shape, const RandomStream& stream);

}  // namespace i1
