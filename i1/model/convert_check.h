// How far two backbones are apart: weight by weight, and in what they compute.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "i1/model/weights.h"

namespace i1 {

struct WeightError {
  std::string key;
  double largest = 0;   ///< absolute
  double relative = 0;  ///< root of the summed squares of the difference over that of the first
  int64_t num_values = 0;
  double squared_error = 0, squared_value = 0;  ///< sums
};

/// Of every tensor of both, worst relative error first; a tensor at a time in memory. Throws
/// UserError for a tensor that only one has and for shapes that differ.
std::vector<WeightError> compare_weights(const OpenBackbone& first, const OpenBackbone& second);

struct ForwardError {
  double largest = 0;   ///< absolute, of the velocities
  double relative = 0;  ///< as of WeightError
};

/// Velocities of fixed random latents and captions, in float32, one model in memory after the
/// other. Nothing where a model is larger than the free memory.
std::optional<ForwardError> compare_forward(const OpenBackbone& first, const OpenBackbone& second);

/// Bytes of a backbone's values in float32.
int64_t float32_bytes(const OpenBackbone& backbone);

}  // namespace i1
