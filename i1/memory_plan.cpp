#include "i1/memory_plan.h"

#include <algorithm>
#include <cstdio>

#include "i1/core/error.h"

namespace i1 {
namespace {

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

int64_t tokens_of(const ModelConfig& config, int64_t latent_height, int64_t latent_width) {
  return latent_height * latent_width / (config.patch_size * config.patch_size) +
         config.num_text_tokens;
}

}  // namespace

bool MemoryPlan::lets_backbone_go() const {
  constexpr int64_t kWorthLoading = 256'000'000;
  return model.backbone > 0 && decode - step > std::max(kWorthLoading, model.backbone / 8);
}

int64_t MemoryPlan::needed() const {
  return lets_backbone_go() ? std::max(model.backbone + step, decode)
                            : model.backbone + std::max(step, decode);
}

std::string MemoryPlan::text(int64_t available) const {
  return concat("memory: ", gigabytes(peak()), " at most (held ", gigabytes(held), ", backbone ",
                gigabytes(model.backbone), ", a step ", gigabytes(step), ", decoding ",
                gigabytes(decode), "), ", gigabytes(mapped()), " mapped; ", gigabytes(available),
                " available");
}

// Rows of the packed buffer live at the widest place of a block: the block's input and the skips
// kept for the out-blocks (D each), the FFN's two halves and their product (3F), or q, k, v twice
// (6D).
int64_t step_bytes(const ModelConfig& config, int64_t num_samples, int64_t latent_height,
                   int64_t latent_width, int64_t element_size) {
  const int64_t D = config.hidden_size, F = config.ffn_size();
  const int64_t num_tokens = tokens_of(config, latent_height, latent_width);
  const int64_t widest = std::max(3 * F, 6 * D);
  const int64_t kept = (config.num_in_blocks() + 3) * D;
  return num_samples * num_tokens * (widest + kept) * element_size;
}

// Latents: a picture's noise, x and its next value, both halves and their velocities before and
// after they are joined, what guidance makes of them. RoPE's angles: cosine and sine.
int64_t sample_bytes(const ModelConfig& config, int64_t latent_height, int64_t latent_width) {
  constexpr int64_t kLatents = 6;
  const int64_t latents = kLatents * config.latent_channels * latent_height * latent_width;
  const int64_t angles = tokens_of(config, latent_height, latent_width) * config.head_dim();
  return (latents + angles) * static_cast<int64_t>(sizeof(float));
}

void check_fits(const MemoryPlan& plan, int64_t available) {
  check_user(plan.needed() <= available, "this takes another ", gigabytes(plan.needed()),
             " of memory, ", gigabytes(available), " are available (", plan.text(available),
             "); try --dtype int8, a smaller --size or --batch-size, or weights of i1 convert in "
             "bfloat16, which are mapped and not copied");
}

}  // namespace i1
