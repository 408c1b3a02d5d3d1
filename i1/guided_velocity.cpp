#include "i1/guided_velocity.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/chunk.h>

#include <algorithm>

#include "i1/core/error.h"

namespace i1 {
namespace {

std::string last_block(const ModelConfig& config) {
  const int64_t num_out = config.num_in_blocks();
  if (!config.use_long_skip) return concat("blocks.", config.num_plain_blocks() - 1);
  return num_out == 0 ? "mid_block" : concat("out_blocks.", num_out - 1);
}

// The first stage with values that are not finite. An observed last block also computes its text
// rows behind the attention, which reach no picture: they are passed over.
class StageFinder {
 public:
  explicit StageFinder(const ModelConfig& config) : mixed_(last_block(config) + ".sdpa_out") {}
  StageFinder(const StageFinder&) = delete;  // its observer holds its address
  StageFinder& operator=(const StageFinder&) = delete;

  // For one pass of samples that lie as `layout` says.
  const Observer* enter(const Layout& layout) {
    const int64_t num_rows = layout.angles.cos.size(0), num_image_rows = layout.num_image_rows;
    is_behind_attention_ = false;
    observer_ = [this, num_rows, num_image_rows](const std::string& stage,
                                                 const at::Tensor& value) {
      is_behind_attention_ |= stage == mixed_;
      const bool has_text = is_behind_attention_ && value.size(0) == num_rows;
      first.see(stage, has_text ? value.narrow(0, 0, num_image_rows) : value);
    };
    return &observer_;
  }

  FirstNotFinite first;

 private:
  std::string mixed_;
  bool is_behind_attention_ = false;
  Observer observer_;
};

}  // namespace

int64_t samples_a_pass(const ModelConfig& config, int64_t latent_height, int64_t latent_width,
                       int64_t num_samples, at::Device device) {
  constexpr int64_t kBusyAlone = 2048;
  const int64_t num_tokens = latent_height * latent_width / (config.patch_size * config.patch_size);
  return device.is_cpu() && num_tokens >= kBusyAlone ? 1 : num_samples;
}

GuidedVelocity::GuidedVelocity(const DualStream& backbone, const Condition& condition,
                               int64_t latent_height, int64_t latent_width,
                               const Guidance& guidance, bool is_guided)
    : backbone_(backbone),
      guidance_(guidance),
      is_guided_(is_guided),
      passes_(make_passes(condition, latent_height, latent_width)) {
  if (is_guided && guidance.start > 0) {
    unguided_ =
        make_passes(narrow(condition, 0, condition.num_samples() / 2), latent_height, latent_width);
  }
}

std::vector<GuidedVelocity::Pass> GuidedVelocity::make_passes(const Condition& condition,
                                                              int64_t latent_height,
                                                              int64_t latent_width) const {
  const int64_t num_samples = condition.num_samples();
  const int64_t count = samples_a_pass(backbone_.config, latent_height, latent_width, num_samples,
                                       backbone_.patch_embed.weight.device());
  std::vector<Pass> passes;
  for (int64_t begin = 0; begin < num_samples; begin += count) {
    const Condition part = narrow(condition, begin, std::min(count, num_samples - begin));
    passes.push_back({part, make_layout(backbone_, latent_height, latent_width, part)});
    passes.back().layout.pos_embed = passes.front().layout.pos_embed;  // kept once
  }
  return passes;
}

// x: (samples of all passes, C, h, w)
at::Tensor GuidedVelocity::run(const std::vector<Pass>& passes, const at::Tensor& x,
                               const ObserverOf& observer_of) const {
  std::vector<at::Tensor> velocities;
  int64_t begin = 0;
  for (const auto& [condition, layout] : passes) {
    const int64_t count = layout.num_samples;
    velocities.push_back(
        velocity(backbone_, x.narrow(0, begin, count), condition, layout, observer_of(layout)));
    begin += count;
  }
  return at::cat(velocities);
}

at::Tensor GuidedVelocity::compute(const at::Tensor& x_t, double t,
                                   const ObserverOf& observer_of) const {
  if (!is_guided_) return run(passes_, x_t, observer_of);
  if (t < guidance_.start) {
    const at::Tensor v = run(unguided_, x_t, observer_of);
    return guide(v, v, t, guidance_);
  }
  const at::Tensor both = run(passes_, at::cat({x_t, x_t}), observer_of);  // (2B, C, h, w)
  const std::vector<at::Tensor> halves = at::chunk(both, 2);
  return guide(halves[0], halves[1], t, guidance_);
}

at::Tensor GuidedVelocity::operator()(const at::Tensor& x_t, double t) const {
  return compute(x_t, t, [](const Layout&) { return nullptr; });
}

FirstNotFinite GuidedVelocity::first_not_finite(const at::Tensor& x_t, double t) const {
  StageFinder finder(backbone_.config);
  const at::Tensor v = compute(x_t, t, [&](const Layout& layout) { return finder.enter(layout); });
  finder.first.see("guidance", v);
  return finder.first;
}

}  // namespace i1
