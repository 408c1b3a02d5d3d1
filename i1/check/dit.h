#pragma once

#include "i1/check/report.h"
#include "i1/model/dual_stream.h"

namespace i1 {

/// Dual-stream cases: files NAME.json with cases (config, keys, stored_as),
/// NAME_weights.safetensors, NAME_cases.safetensors beside it; stages_*.safetensors of a case.
extern const CheckFamily kCheckDit;

/// What a model gives for latents x (B, C, h, w), padded captions (B, T, width) and their mask
/// (B, T; undefined = all valid), in float32.
at::Tensor velocity_of_padded(const DualStream& stored, const at::Tensor& x,
                              const at::Tensor& caption, const at::Tensor& mask,
                              const std::string& device);

}  // namespace i1
