// What the tests of the backbone share: a model small enough for a test and random everywhere.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "i1/core/testing.h"
#include "i1/model/init.h"
#include "i1/model/weights.h"

namespace i1::testing {

inline ModelConfig tiny_config() {
  ModelConfig config;
  config.resolution = 64;
  config.latent_size = 8;
  config.latent_channels = 3;
  config.hidden_size = 24;
  config.depth = 5;
  config.num_heads = 2;
  config.mlp_ratio = 2;
  config.text_width = 10;
  config.num_text_tokens = 6;
  return config;
}

/// Initialised, then norms and biases moved away from one and zero, so that each of them matters.
inline DualStream random_model(const ModelConfig& config, at::ScalarType dtype = at::kFloat) {
  at::manual_seed(0);
  DualStream model = make_dual_stream(config);
  initialize(model, RandomStream{1});
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (key.ends_with("scale") || key.ends_with("bias"))
      tensor = tensor + 0.2 * at::randn(tensor.sizes());
    tensor = tensor.to(dtype);
  });
  return model;
}

/// Padded captions (B, T, W) and their mask (B, T), as a caller has them.
struct PaddedCaptions {
  at::Tensor states, mask;
};

/// The first `lengths[b]` tokens of sample b are valid.
inline PaddedCaptions random_captions(const ModelConfig& config,
                                      const std::vector<int64_t>& lengths) {
  const int64_t B = static_cast<int64_t>(lengths.size()), T = config.num_text_tokens;
  PaddedCaptions captions{at::randn({B, T, config.text_width}), at::zeros({B, T}, at::kByte)};
  for (int64_t b = 0; b < B; ++b) captions.mask[b].narrow(0, 0, lengths[b]).fill_(1);
  return captions;
}

inline Condition condition_of(const DualStream& model, const PaddedCaptions& captions) {
  const at::Tensor rows =
      adapt(model.text_encoder_adapter, model.config, captions_from_padded(captions.states));
  const int64_t B = captions.states.size(0);
  return condition_from_padded(rows.view({B, -1, model.config.hidden_size}), captions.mask);
}

inline at::Tensor velocity_of(const DualStream& model, const at::Tensor& x,
                              const Condition& condition, const Observer* observer = nullptr) {
  return velocity(model, x, condition, make_layout(model, x.size(2), x.size(3), condition),
                  observer);
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace i1::testing
