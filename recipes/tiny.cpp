#include "recipes/recipes.h"

namespace i1 {

TrainConfig tiny() {
  TrainConfig config;
  config.recipe = "tiny";
  config.model.resolution = 32;
  config.model.latent_size = 4;
  config.model.hidden_size = 32;
  config.model.depth = 3;
  config.model.num_heads = 2;
  config.model.text_width = 16;
  config.model.num_text_tokens = 8;
  config.text.tokenizer = "tokenizer";
  config.text.is_trained = true;
  config.text.config = t5gemma_nano(512);
  config.text.config.hidden_size = 16;
  config.text.config.intermediate_size = 32;
  config.text.config.num_hidden_layers = 2;
  config.text.config.head_dim = 8;
  config.text.config.query_pre_attn_scalar = 8;
  config.data_sets = {"tiny"};
  config.num_steps = 20;
  config.global_batch_size = 4;
  config.learning_rate = 1e-3;
  config.ema_decay = 0.9;
  config.log_every = 1;
  config.checkpoint_every = 5;
  config.keep_every = 10;
  return config;
}

}  // namespace i1
