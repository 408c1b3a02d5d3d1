#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace i1 {

/// float32 or bfloat16 as asked; "auto" or empty: bfloat16 where this machine multiplies it
/// natively, else float32. `why` says so in words. Throws UserError for another name.
at::ScalarType choose_compute_dtype(const std::string& wanted, at::Device device, std::string& why);

}  // namespace i1
