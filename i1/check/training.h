#pragma once

#include "i1/check/report.h"

namespace i1 {

/// Training: JSON files of gradients, of optimizer trajectories, of rectified flow (each with the
/// safetensors of its name beside it), of the steps at which checkpoints are written and of the
/// distributions of initial weights.
extern const CheckFamily kCheckTraining;

}  // namespace i1
