#pragma once

#include "i1/model/dual_stream.h"

namespace i1 {

/// Turns the linear layers of the blocks to int8 with a factor a row, for inference: they are
/// nearly all of the model's weights and of its arithmetic. The patch embedding, the adapter (run
/// once a picture) and the final layer (whose errors nothing evens out) keep their type. Layers
/// that are int8 already are left as they are.
void quantize_blocks(DualStream& model);

}  // namespace i1
