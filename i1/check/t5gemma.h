#pragma once

#include "i1/check/report.h"

namespace i1 {

/// T5Gemma encoder: cases (case_*.safetensors, with the weights in a folder beside them), and lists
/// of tensor names and shapes (*_encoder_tensors.json, with *_encoder_config.json).
extern const CheckFamily kCheckT5Gemma;

}  // namespace i1
