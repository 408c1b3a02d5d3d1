// From a checkpoint to a backbone that computes in a chosen precision, a tensor at a time.
#pragma once

#include "i1/core/compute_dtype.h"
#include "i1/model/weights.h"

namespace i1 {

/// What a backbone to compute with takes.
struct BackboneMemory {
  int64_t mapped = 0;  ///< bytes of the file that it reads in place
  int64_t copied = 0;  ///< bytes of its own
};

/// Of load_for_inference with the same arguments; an estimate for files whose values may be packed.
BackboneMemory inference_memory(const OpenBackbone& backbone, Precision precision,
                                at::Device device);

/// As compute_copy and, for int8, quantize_blocks would make it of the whole model, but with no
/// more in memory than itself and the largest tensor. On the CPU, values that the file holds as
/// they are computed with stay views of it. int8 layers of int8 files are taken as they are. Throws
/// UserError as check_tensors does.
DualStream load_for_inference(const OpenBackbone& backbone, Precision precision, at::Device device);

}  // namespace i1
