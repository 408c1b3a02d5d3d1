#pragma once

#include <string>
#include <vector>

#include "i1/check/report.h"
#include "i1/io/stored_tensor.h"
#include "i1/train/trainer.h"

namespace i1 {

struct ActivationCase {
  std::string golden, name;
  const NoisyBatch& batch;
  const std::vector<bool>& dropped;  ///< (B): captions that the null one replaces
  const at::Tensor& mask;            ///< (B, T), nonzero = valid
};

/// <case>/pred, and the gradients of the loss at the outputs that <case>/activation_grad/ names,
/// where they are stored; a gradient may differ by `tolerance`, or by `relative` of its norm.
/// `model` computes with gradients.
void check_activations(const ActivationCase& item, const DualStream& model,
                       const TensorMap& tensors, double tolerance, double relative,
                       CheckReport& report);

}  // namespace i1
