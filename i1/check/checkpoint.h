#pragma once

#include "i1/check/report.h"

namespace i1 {

/// Checkpoints: PyTorch NAME.pt with NAME.json (what each tensor holds) and NAME_io.safetensors
/// (inputs and outputs) beside it; JAX NAME.npz or NAME.npz-STEP with keys.json and
/// expected.safetensors; lists of the tensors of a released size (JSON with "config" and "tensors"
/// or "shapes"), compared with the model that this program builds.
extern const CheckFamily kCheckCheckpoint;

}  // namespace i1
