#pragma once

#include "i1/check/report.h"

namespace i1 {

/// Autoencoders (folders with config.json, diffusion_pytorch_model.safetensors and
/// cases.safetensors or stages.safetensors; TAEF2 cases with the weights named by $I1_TAEF2 or
/// found beside the goldens), latent scaling, and lists of the published autoencoders' tensors with
/// their latent statistics.
extern const CheckFamily kCheckVae;

}  // namespace i1
