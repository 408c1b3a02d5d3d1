#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace i1 {

/// What a model computes in.
struct Precision {
  at::ScalarType dtype = at::kFloat;  ///< of what passes through it, and of its weights
  bool has_int8_weights = false;      ///< of the backbone's blocks; their products too, where the
                                      ///< CPU has such instructions

  Precision(at::ScalarType type) : dtype(type) {}  // NOLINT: a dtype is a precision
  Precision(at::ScalarType type, bool int8_weights) : dtype(type), has_int8_weights(int8_weights) {}

  std::string name() const;  ///< float32, bfloat16, int8
};

/// float32 or bfloat16 as asked; "auto" or empty: bfloat16 where this machine multiplies it
/// natively, else float32. `why` says so in words. Throws UserError for another name.
at::ScalarType choose_compute_dtype(const std::string& wanted, at::Device device, std::string& why);

/// The same, and "int8": int8 weights in the blocks, the dtype of "auto" everywhere else. For
/// inference.
Precision choose_precision(const std::string& wanted, at::Device device, std::string& why);

}  // namespace i1
