#pragma once

#include "i1/check/report.h"

namespace i1 {

/// Sampling: guided Euler runs of the PyTorch code (NAME.json with "runs" and the "weights" they
/// were made with, NAME.safetensors beside it) and of the JAX code (safetensors whose metadata
/// tells the solver, with the JAX checkpoint in ../npz), and grids of times (safetensors of
/// n50_shift0.3/ or of t_50 and dt_50).
extern const CheckFamily kCheckSampler;

}  // namespace i1
