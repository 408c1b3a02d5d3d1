// How much memory a picture takes, before anything long is started.
#pragma once

#include <cstdint>
#include <string>

#include "i1/model/config.h"

namespace i1 {

/// Bytes of a model's parts. What is mapped is read from its file as it is used, and given up again
/// where memory runs short: it need not fit. The rest must.
struct ModelMemory {
  int64_t text_encoder_mapped = 0;
  int64_t backbone_mapped = 0;
  int64_t backbone = 0;  ///< converted copies
};

struct MemoryPlan {
  ModelMemory model;
  int64_t held = 0;    ///< by the program when the plan is made: itself, tokenizer, autoencoder
  int64_t step = 0;    ///< what passes through the backbone in one step of one batch
  int64_t decode = 0;  ///< of one picture

  int64_t mapped() const { return model.text_encoder_mapped + model.backbone_mapped; }
  /// Decoding takes so much more than a step that the backbone is worth loading again for the next
  /// batch: it is let go meanwhile.
  bool lets_backbone_go() const;
  /// The most that is taken at once beside what is held, and all of it; neither counts what is
  /// mapped.
  int64_t needed() const;
  int64_t peak() const { return held + needed(); }
  /// Worth a line to the user.
  bool is_large() const { return peak() + mapped() > 1'000'000'000; }
  /// One line: "memory: 6.8 GB at most (held 0.5 GB, backbone 6.1 GB, ...), 5.2 GB mapped; ..."
  std::string text(int64_t available) const;
};

/// About the bytes of one call of `velocity` for `num_samples` samples of a latent_height x
/// latent_width latent, captions of full length, activations of `element_size` bytes.
int64_t step_bytes(const ModelConfig& config, int64_t num_samples, int64_t latent_height,
                   int64_t latent_width, int64_t element_size);

/// About the bytes that a step holds for each sample of its batch (twice the pictures where
/// guidance acts), whether it passes through the backbone just then or not.
int64_t sample_bytes(const ModelConfig& config, int64_t latent_height, int64_t latent_width);

/// Throws UserError, which says what to change, where the plan needs more than `available`.
void check_fits(const MemoryPlan& plan, int64_t available);

}  // namespace i1
