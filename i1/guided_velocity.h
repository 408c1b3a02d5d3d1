// What one step of the sampler follows: the backbone's velocity with classifier-free guidance.
#pragma once

#include "i1/core/finite.h"
#include "i1/flow/sampler.h"
#include "i1/model/dual_stream.h"

namespace i1 {

/// How many of a step's samples pass through the backbone together. On a CPU a sample of some
/// thousand tokens keeps the products busy alone: one at a time takes a fraction of the memory, and
/// gives the same bits.
int64_t samples_a_pass(const ModelConfig& config, int64_t latent_height, int64_t latent_width,
                       int64_t num_samples, at::Device device);

class GuidedVelocity {
 public:
  /// condition: of the B pictures and, where `is_guided`, behind them of the same B without their
  /// captions. Keeps a reference to `backbone`.
  GuidedVelocity(const DualStream& backbone, const Condition& condition, int64_t latent_height,
                 int64_t latent_width, const Guidance& guidance, bool is_guided);

  /// x_t: (B, C, h, w) float32. Returns (B, C, h, w) float32. Before guidance starts the half
  /// without captions is not computed.
  at::Tensor operator()(const at::Tensor& x_t, double t) const;

  /// The first stage of that call, of the backbone or "guidance", whose values are not finite. What
  /// reaches no picture is passed over.
  FirstNotFinite first_not_finite(const at::Tensor& x_t, double t) const;

 private:
  /// Neighbouring samples that go through the backbone together.
  struct Pass {
    Condition condition;
    Layout layout;
  };
  using ObserverOf = std::function<const Observer*(const Layout&)>;

  std::vector<Pass> make_passes(const Condition& condition, int64_t latent_height,
                                int64_t latent_width) const;
  at::Tensor run(const std::vector<Pass>& passes, const at::Tensor& x,
                 const ObserverOf& observer_of) const;
  at::Tensor compute(const at::Tensor& x_t, double t, const ObserverOf& observer_of) const;

  const DualStream& backbone_;
  Guidance guidance_;
  bool is_guided_;
  std::vector<Pass> passes_;    ///< of all samples
  std::vector<Pass> unguided_;  ///< of those with captions, where guidance starts later
};

}  // namespace i1
