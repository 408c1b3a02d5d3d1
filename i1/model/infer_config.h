// What a model's config lacks, or all of it, from the names and shapes of its weights.
#pragma once

#include <string>

#include "i1/io/stored_tensor.h"
#include "i1/model/config.h"

namespace i1 {

/// Sets the switches that stored configs lack (norm kinds, adapter depth, long skips, ...) and the
/// sizes that shapes show, from the tensors of a checkpoint in PyTorch names. Throws UserError
/// where they are not a dual-stream model's.
void infer_switches(ModelConfig& config, const StoredTensors& tensors, const std::string& where);

/// Sets mlp_ratio to the smallest ratio that gives the FFN the width that its weights have, after
/// infer_switches. Throws UserError where none does.
void infer_mlp_ratio(ModelConfig& config, const StoredTensors& tensors, const std::string& where);

/// Sets the resolution that the position table was made for, the only values read; without one that
/// of its latents.
void infer_resolution(ModelConfig& config, const StoredTensors& tensors);

/// Whether a tensor's name begins with `prefix`.
template <class Tensor>
bool any_key(const std::map<std::string, Tensor>& tensors, const std::string& prefix) {
  const auto found = tensors.lower_bound(prefix);
  return found != tensors.end() && found->first.starts_with(prefix);
}

}  // namespace i1
