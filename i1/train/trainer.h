// One optimizer step after the other: batch -> noise and time -> velocity -> loss -> gradients ->
// clip -> Adam and EMA.
#pragma once

#include <map>
#include <memory>

#include "i1/kernels/adam.h"
#include "i1/train/state.h"

namespace i1 {

/// What a step reports. Norms are over all trained parameters (gradient: before clipping).
struct StepMetrics {
  int64_t step = 0;
  double loss = 0;
  double gradient_norm = 0, update_norm = 0, weight_norm = 0, ema_norm = 0;
  double learning_rate = 0;

  static void fields(auto& self, auto&& visit) {
    visit("step", self.step);
    visit("loss", self.loss);
    visit("gradient_norm", self.gradient_norm);
    visit("update_norm", self.update_norm);
    visit("weight_norm", self.weight_norm);
    visit("ema_norm", self.ema_norm);
    visit("learning_rate", self.learning_rate);
  }
};

/// A micro-batch as the loss sees it: everything random is decided.
struct NoisyBatch {
  at::Tensor noise, image_latents;  ///< (B, C, h, w) float32
  at::Tensor t;                     ///< (B) float32
  Captions captions;  ///< of the samples, and the null caption last where one was dropped
  std::vector<CaptionRows>
      rows;  ///< (B): the rows that each sample's condition takes of the adapter's output
};

/// Mean squared error of the velocity over one micro-batch, differentiable.
at::Tensor batch_loss(const DualStream& model, const NoisyBatch& batch);

/// Gradients, clipping, Adam, EMA: the part of a step behind the loss.
class Optimizer {
 public:
  /// state and compute must outlive the optimizer.
  Optimizer(const TrainConfig& config, TrainState& state, Net& compute);

  /// Adds the gradients of `loss` divided by the number of micro-batches.
  void accumulate(const at::Tensor& loss);

  /// The gradients accumulated so far, by key; undefined where there is none.
  std::map<std::string, at::Tensor> gradients() const;

  /// Clips, updates, and forgets the gradients. Throws Failure, naming the tensor, where a gradient
  /// is not finite; nothing is changed then.
  StepMetrics step();

 private:
  void check_finite(double norm) const;

  const TrainConfig& config_;
  TrainState& state_;
  std::vector<std::string> keys_;      ///< the backbone's, then the text encoder's
  size_t num_backbone_ = 0;            ///< of them
  std::vector<at::Tensor> leaves_;     ///< of the compute copy
  std::vector<at::Tensor> gradients_;  ///< one each; undefined = none
  std::vector<AdamParameter>
      parameters_;  ///< the trained ones in the order of keys_, then the frozen
  double loss_ = 0;
};

class Trainer {
 public:
  /// batches must outlive the trainer. Continues from `state`.
  Trainer(const TrainConfig& config, TrainState state, CachedBatches& batches, at::Device device);

  StepMetrics step();

  TrainState& state() { return state_; }
  /// The averaged weights as a net to generate with.
  const Net& ema() const { return state_.ema; }
  at::ScalarType compute_dtype() const { return dtype_; }

 private:
  NoisyBatch make_noisy(const Batch& batch, int64_t micro_batch);
  PackedText encode(const Batch& batch) const;

  TrainConfig config_;
  at::Device device_;
  at::ScalarType dtype_;
  TrainState state_;
  Net compute_;
  CachedBatches& batches_;
  Optimizer optimizer_;
};

}  // namespace i1
