#pragma once

#include <string>
#include <vector>

#include "i1/flow/path.h"
#include "i1/io/buckets.h"
#include "i1/model/config.h"
#include "i1/text/t5gemma_config.h"

namespace i1 {

/// Where captions come from.
struct TextConfig {
  std::string tokenizer;    ///< folder; relative to the data root
  std::string encoder;      ///< folder of a trained one; empty = one of `config`, trained here
  bool is_trained = false;  ///< trained together with the backbone; else its cached states are read
  double learning_rate_scale = 1;  ///< of the encoder, relative to the backbone's
  T5GemmaConfig config;

  static void fields(auto& self, auto&& visit) {
    visit("tokenizer", self.tokenizer);
    visit("encoder", self.encoder);
    visit("is_trained", self.is_trained);
    visit("learning_rate_scale", self.learning_rate_scale);
    visit("config", self.config);
  }
};

/// One training run. A recipe (recipes/) is a function that returns it.
struct TrainConfig {
  std::string recipe;
  uint64_t seed = 0;
  ModelConfig model;
  TextConfig text;

  std::vector<std::string> data_sets;  ///< folders of latent caches below the data root
  std::vector<double> data_weights;    ///< one each; empty = equal
  Buckets buckets;                     ///< of the caches; none = squares
  std::string init_from;           ///< an earlier stage, or a folder of `--export`, to start from
  int64_t max_caption_tokens = 0;  ///< longer captions are not drawn; 0 = all may be
  double caption_dropout = 0.1;
  TimeSampling time;

  int64_t num_steps = 0;  ///< optimizer updates
  int64_t global_batch_size = 512;
  int64_t num_accumulation_steps = 1;
  double learning_rate = 1e-4;
  int64_t num_warmup_steps = 0;  ///< from 0 linearly
  double decay_start = 1;  ///< share of the steps after which the rate falls to 0 along a cosine
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double max_gradient_norm = 1;
  double ema_decay = 0.9999;
  std::string first_moment_dtype = "bfloat16";
  std::string compute_dtype = "auto";  ///< auto, float32, bfloat16

  int64_t log_every = 100;
  int64_t sample_every = 0;  ///< a sheet of pictures of these prompts; 0 = never
  std::vector<std::string> sample_prompts;
  int64_t checkpoint_every = 5000;
  int64_t keep_every = 50000;  ///< permanent copies

  static void fields(auto& self, auto&& visit) {
    visit("recipe", self.recipe);
    visit("seed", self.seed);
    visit("model", self.model);
    visit("text", self.text);
    visit("data_sets", self.data_sets);
    visit("data_weights", self.data_weights);
    visit("buckets", self.buckets);
    visit("init_from", self.init_from);
    visit("max_caption_tokens", self.max_caption_tokens);
    visit("caption_dropout", self.caption_dropout);
    visit("time", self.time);
    visit("num_steps", self.num_steps);
    visit("global_batch_size", self.global_batch_size);
    visit("num_accumulation_steps", self.num_accumulation_steps);
    visit("learning_rate", self.learning_rate);
    visit("num_warmup_steps", self.num_warmup_steps);
    visit("decay_start", self.decay_start);
    visit("beta1", self.beta1);
    visit("beta2", self.beta2);
    visit("eps", self.eps);
    visit("max_gradient_norm", self.max_gradient_norm);
    visit("ema_decay", self.ema_decay);
    visit("first_moment_dtype", self.first_moment_dtype);
    visit("compute_dtype", self.compute_dtype);
    visit("log_every", self.log_every);
    visit("sample_every", self.sample_every);
    visit("sample_prompts", self.sample_prompts);
    visit("checkpoint_every", self.checkpoint_every);
    visit("keep_every", self.keep_every);
  }
};

/// Throws UserError for values that cannot be trained with.
void check_train_config(const TrainConfig& config);

/// The learning rate of step 1, 2, ...: warm-up, constant, cosine tail.
double learning_rate_at(const TrainConfig& config, int64_t step);

/// Whether a periodic action is due at `step`: at step 1, at the last step, and at multiples of
/// `every` unless they are nearer to the last step than a quarter of `every`. every = 0: never.
/// Source: the reference's itstime.
struct Due {
  int64_t every = 0, last_step = 0;
  bool at_first = true, at_last = true;
  double drop_close_to_last = 0.25;

  bool operator()(int64_t step) const;
};

}  // namespace i1
