// What the tests of training share: a run small enough for a test, its data, and states to compare.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "i1/core/testing.h"
#include "i1/data/cached_batches.h"
#include "i1/train/state.h"

namespace i1::testing {

inline TrainConfig small_run() {
  TrainConfig config;
  config.recipe = "small";
  config.seed = 3;
  config.model.resolution = 32;
  config.model.latent_size = 4;
  config.model.latent_channels = 2;
  config.model.hidden_size = 24;
  config.model.depth = 3;
  config.model.num_heads = 2;
  config.model.mlp_ratio = 2;
  config.model.text_width = 16;
  config.model.num_text_tokens = 6;
  config.text.tokenizer = "tokenizer";
  config.text.is_trained = true;
  config.text.config = t5gemma_nano(32);
  config.text.config.hidden_size = 16;
  config.text.config.intermediate_size = 24;
  config.text.config.num_hidden_layers = 2;
  config.text.config.head_dim = 8;
  config.text.config.query_pre_attn_scalar = 8;
  config.data_sets = {"small"};
  config.num_steps = 20;
  config.global_batch_size = 8;
  config.learning_rate = 1e-3;
  config.ema_decay = 0.9;
  config.compute_dtype = "float32";
  return config;
}

/// 16 examples that `small_run` can be trained on: latents of 1 or -1 as their caption says; the
/// last caption fills all six tokens.
inline std::filesystem::path write_small_cache(const std::filesystem::path& folder) {
  CacheOrigin origin;
  origin.resolution = 32;
  origin.vae = "test mean";
  origin.tokenizer = "1-00000001";
  origin.num_text_tokens = 6;
  CacheWriter writer(folder, origin);
  for (int64_t i = 0; i < 16; ++i) {
    const int64_t sign = i % 2;
    std::vector<int64_t> tokens(i == 15 ? 6 : 1 + i % 3, 4 + sign);
    writer.add(at::full({1, 2, 4, 4}, sign == 0 ? -1.0 : 1.0, at::kFloat),
               {{writer.caption_number(tokens)}}, {"picture " + std::to_string(i)});
  }
  writer.finish();
  return folder;
}

inline CachedBatches open_batches(const TrainConfig& config, const std::filesystem::path& cache) {
  return CachedBatches({LatentCache::open(cache)}, {1}, config.caption_dropout, config.seed);
}

/// Copies share tensors; this shares nothing.
inline TrainState deep_copy(const TrainState& state) {
  TrainState copy = state;
  for (Net* net : {&copy.weights, &copy.ema, &copy.mu, &copy.nu}) {
    for_each_tensor(*net, "", [](const std::string&, at::Tensor& tensor) {
      if (tensor.defined()) tensor = tensor.clone();
    });
  }
  return copy;
}

/// Equal to the last bit.
inline void expect_equal(TrainState a, TrainState b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.data.num_draws, b.data.num_draws);
  EXPECT_EQ(a.data.draws_of_set, b.data.draws_of_set);
  EXPECT_EQ(a.weights.text_encoder.has_value(), b.weights.text_encoder.has_value());
  for (Net TrainState::*net :
       {&TrainState::weights, &TrainState::ema, &TrainState::mu, &TrainState::nu}) {
    for_each_tensor_pair(a.*net, b.*net, [](const std::string& key, at::Tensor& x, at::Tensor& y) {
      ASSERT_EQ(x.defined(), y.defined()) << key;
      if (!x.defined()) return;
      EXPECT_EQ(x.scalar_type(), y.scalar_type()) << key;
      EXPECT_TRUE(at::equal(x, y)) << key;
    });
  }
}

}  // namespace i1::testing
