#pragma once

#include "i1/check/report.h"

namespace i1 {

/// Training: gradients.json, trajectory.json, rectified_flow.json, itstime.json, each with the
/// safetensors beside it.
extern const CheckFamily kCheckTraining;

}  // namespace i1
