// What the tests of bundles and pictures share: a model small enough for a test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "i1/bundle.h"
#include "i1/core/testing.h"
#include "i1/model/init.h"
#include "i1/model/int8.h"
#include "i1/model/weights.h"
#include "i1/text/bpe_trainer.h"

namespace i1::testing {

inline BundleConfig tiny_bundle_config() {
  BundleConfig config;
  config.name = "tiny";
  config.num_steps = 4;
  config.model.resolution = 32;
  config.model.latent_size = 4;
  config.model.hidden_size = 32;
  config.model.depth = 3;
  config.model.num_heads = 2;
  config.model.text_width = 16;
  config.model.num_text_tokens = 8;
  return config;
}

/// Learned from three captions; the folder lives as long as the process.
inline std::filesystem::path tiny_tokenizer() {
  static const std::filesystem::path folder = [] {
    const std::vector<std::string> captions = {"a red square", "a blue bar", "a green cross"};
    const std::filesystem::path folder = fresh_folder("tiny_tokenizer");
    save_tokenizer(train_bpe(captions), folder);
    return folder;
  }();
  return folder;
}

/// A random model of a few thousand parameters, its autoencoder the bundled one.
inline Bundle tiny_bundle(Precision precision = at::kFloat) {
  const BundleConfig config = tiny_bundle_config();
  DualStream backbone = make_dual_stream(config.model);
  initialize(backbone, RandomStream{1});
  Tokenizer tokenizer = load_tokenizer(tiny_tokenizer());
  T5GemmaConfig text = t5gemma_nano(tokenizer.vocabulary_size());
  text.hidden_size = config.model.text_width;
  text.intermediate_size = 32;
  text.num_hidden_layers = 2;
  text.head_dim = 8;
  text.query_pre_attn_scalar = 8;
  T5GemmaEncoder encoder = init_t5gemma(text, RandomStream{2});
  if (precision.has_int8_weights) quantize_blocks(backbone);
  return {config, compute_copy(backbone, precision.dtype, at::kCPU), std::move(encoder),
          std::move(tokenizer), Vae::load("weights/taef2")};
}

}  // namespace i1::testing
