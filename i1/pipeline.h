// From a prompt to a picture: the road of design in six steps, and nothing else.
#pragma once

#include <functional>

#include "i1/bundle.h"
#include "i1/flow/sampler.h"
#include "i1/io/image.h"

namespace i1 {

/// Called after each step of the sampler: steps done of the whole run, and of how many.
using GenerateProgress = std::function<void(int64_t done, int64_t total)>;
/// Called with each picture: its place among the requests.
using TakeImage = std::function<void(size_t index, Image image)>;

/// Beyond these numbers nothing can be drawn, or not in a lifetime.
inline constexpr int64_t kMaxSteps = 10'000, kMaxSide = 4096;
inline constexpr double kMaxGuidance = 1000, kMaxShift = 1000;

class Pipeline {
 public:
  Pipeline(Bundle bundle, at::Device device, Precision precision);

  /// The request with what it leaves open (size, steps, dtype, rows decoded at a time) filled in
  /// from the model and, for the rows, the memory that is free. Throws
  /// UserError for sizes that cannot be made, an unknown schedule, and numbers out of range.
  Request complete(Request request) const;

  /// One picture a request, in order, given to `on_image` as it is done. Requests must be complete
  /// and agree in size, steps, schedule and guidance; they are sampled `batch_size` at a time,
  /// which does not change any picture. Each picture's noise follows from its seed, prompt index
  /// and image index alone. The text encoder is let go before the backbone is loaded. Throws
  /// UserError where values stop being finite (whose, in which step and stage, which weight is to
  /// blame), Failure where a mapped file of the model changes: no picture comes of either.
  void generate(const std::vector<Request>& requests, int64_t batch_size, const TakeImage& on_image,
                const GenerateProgress& on_progress = nullptr) const;

  /// The same, all pictures at the end.
  std::vector<Image> generate(const std::vector<Request>& requests, int64_t batch_size,
                              const GenerateProgress& on_progress = nullptr) const;

  /// What pictures of such requests take, `batch_size` at a time.
  MemoryPlan plan(const Request& request, int64_t batch_size) const;

  const BundleConfig& config() const { return bundle_.config; }

 private:
  /// What the text encoder makes of one prompt.
  struct EncodedPrompt {
    at::Tensor states;    ///< (rows, W): its tokens, then at most one row for all padding
    at::Tensor key_bias;  ///< (rows)
    int64_t num_tokens = 0;
  };
  /// A request and its prompts; the negative one only where guidance needs it.
  struct Job {
    const Request* request = nullptr;
    EncodedPrompt prompt, negative_prompt;
  };
  using Jobs = std::vector<Job>;

  std::vector<EncodedPrompt> encode(const std::vector<std::string>& prompts,
                                    const Observer* observer = nullptr) const;
  Jobs encode(const std::vector<Request>& requests, size_t begin, size_t end,
              int64_t batch_size) const;
  Condition condition_of(const Jobs& jobs, const Observer* observer = nullptr) const;
  at::Tensor sample(const Jobs& jobs, const StepObserver& on_step) const;
  Image decode(const Request& request, const at::Tensor& latents) const;
  int64_t choose_decode_rows(const Request& request) const;
  int64_t decode_bytes(const Request& request, int64_t rows) const;

  // Each throws where values are not finite, and says where that began.
  void check_prompt(const Request& request, const std::string& prompt,
                    const EncodedPrompt& encoded) const;
  void check_condition(const Jobs& jobs, const Condition& condition) const;

  Bundle bundle_;
  at::Device device_;
  Precision precision_;
};

/// Standard normal latents (C, h, w) of one picture.
at::Tensor picture_noise(const Request& request, int64_t latent_channels);

}  // namespace i1
