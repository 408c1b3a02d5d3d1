// From a prompt to a picture: the road of design in six steps, and nothing else.
#pragma once

#include <functional>

#include "i1/bundle.h"
#include "i1/flow/sampler.h"
#include "i1/io/image.h"

namespace i1 {

/// Called after each step of the sampler: steps done of the whole run, and of how many.
using GenerateProgress = std::function<void(int64_t done, int64_t total)>;

/// Beyond these numbers nothing can be drawn, or not in a lifetime.
inline constexpr int64_t kMaxSteps = 10'000;
inline constexpr double kMaxGuidance = 1000, kMaxShift = 1000;

class Pipeline {
 public:
  Pipeline(Bundle bundle, at::Device device, at::ScalarType dtype);

  /// The request with what it leaves open (size, steps, dtype) filled in from the model. Throws
  /// UserError for sizes that cannot be made, an unknown schedule, and numbers out of range.
  Request complete(Request request) const;

  /// One picture a request, in order. Requests must be complete and agree in size, steps, schedule
  /// and guidance; they are sampled `batch_size` at a time, which does not change any picture. Each
  /// picture's noise follows from its seed, prompt index and image index alone.
  std::vector<Image> generate(const std::vector<Request>& requests, int64_t batch_size,
                              const GenerateProgress& on_progress = nullptr) const;

  const BundleConfig& config() const { return bundle_.config; }

 private:
  Condition encode(const std::vector<Request>& requests, bool is_guided) const;
  at::Tensor sample(const std::vector<Request>& requests, const StepObserver& on_step) const;

  Bundle bundle_;
  at::Device device_;
  at::ScalarType dtype_;
};

/// Standard normal latents (C, h, w) of one picture.
at::Tensor picture_noise(const Request& request, int64_t latent_channels);

}  // namespace i1
