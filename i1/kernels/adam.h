#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace i1 {

struct AdamOptions {
  double learning_rate = 1e-4;
  double beta1 = 0.9, beta2 = 0.95;
  double eps = 1e-8;
  double ema_decay = 0.9999;
};

/// One parameter and its state, all of one shape, contiguous, on one device. Everything but the
/// gradient is updated in place.
struct AdamParameter {
  at::Tensor weight;          ///< float32 master weights
  at::Tensor gradient;        ///< float32 or bfloat16; undefined counts as zero
  at::Tensor mu;              ///< first moment, bfloat16 or float32; undefined = frozen
  at::Tensor nu;              ///< second moment, float32; undefined = frozen
  at::Tensor ema;             ///< float32; undefined = not averaged
  at::Tensor compute_weight;  ///< bfloat16, overwritten with the rounded weight; undefined = none
};

/// Sums of squares over all parameters of one step, for the metrics.
struct AdamSquares {
  double update = 0;  ///< of the change of the weights: learning rate times Adam's direction
  double weight = 0;  ///< of the weights after the step, frozen ones included
  double ema = 0;     ///< of the averages after the step
};

/// One step of Adam without weight decay (Kingma & Ba 2015, algorithm 1), of the exponential moving
/// average of the weights and of their copy in the compute dtype, in one pass over memory:
///
///     g  = gradient * gradient_scale
///     mu = beta1 mu + (1 - beta1) g,   nu = beta2 nu + (1 - beta2) g^2
///     weight -= learning_rate * (mu / (1 - beta1^step)) / (sqrt(nu / (1 - beta2^step)) + eps)
///     ema += (1 - ema_decay) (weight - ema)
///
/// Arithmetic in float32; the weight moves by mu as computed here, before mu is rounded to the
/// dtype it is kept in. step: 1 for the first update. A parameter without mu is frozen: only its
/// average moves. Sums run in a fixed order: results do not depend on the number of threads.
/// Throws c10::Error when shapes, dtypes or devices do not fit.
AdamSquares adam_step(const std::vector<AdamParameter>& parameters, const AdamOptions& options,
                      int64_t step, double gradient_scale = 1);

/// Sum of the squares of all elements (float32 or bfloat16, contiguous), in a fixed order;
/// undefined tensors count as zero. The root is the global norm that clipping needs.
double sum_of_squares(const std::vector<at::Tensor>& tensors);

/// The scale that clips gradients of this global norm to `max_norm`: max_norm / max(norm,
/// max_norm); 1 where max_norm is 0.
double clip_scale(double gradient_norm, double max_norm);

namespace reference {
AdamSquares adam_step(const std::vector<AdamParameter>& parameters, const AdamOptions& options,
                      int64_t step, double gradient_scale = 1);
double sum_of_squares(const std::vector<at::Tensor>& tensors);
}  // namespace reference

}  // namespace i1
