// The bundled model: i1 in every respect but size, 32, then 64, then 128 pixels, from drawings that
// anyone can install. tools/train_nano.sh runs all of it.
//
//   stage      steps   batch  pictures   two cores, AVX-512 BF16
//   nano_32    8,000     128    1.02 M   270 pictures a second on one; loss 0.55 at 100 k, 0.45 at
//                                        260 k, 0.38 at 510 k, 0.32 at 1 M
//   nano_64    3,800     128    0.49 M   190 a second on both; 0.48 at 26 k, 0.37 at 100 k,
//                                        0.33 at 240 k, 0.26 at the end
//   nano_128   2,400      64    0.15 M   45 a second on one; 0.31 at 26 k, 0.29 at 51 k, then 0.26
//
// The first stage sees few image tokens, short captions and times warped towards noise, where the
// text must say what the noise hides (docs/log_experiments.md).
#include "recipes/recipes.h"

namespace i1 {
namespace {

constexpr int64_t kVocabulary = 8000;

// 20.6 M parameters in the backbone, 4.4 M and an embedding of 2.0 M in the text encoder.
ModelConfig nano_model(int64_t resolution) {
  ModelConfig model;
  model.resolution = resolution;
  model.latent_size = resolution / 8;
  model.hidden_size = 288;
  model.depth = 9;
  model.num_heads = 4;
  model.text_width = 256;
  model.num_text_tokens = 64;
  return model;
}

std::vector<std::string> caches(const std::string& folder) {
  std::vector<std::string> names;
  for (const char* set : {"emoji", "emoji_tones", "clipart", "stamps", "shapes", "scenes", "text"})
    names.push_back(folder + "/" + set);
  return names;
}

}  // namespace

std::vector<TrainConfig> nano_stages() {
  TrainConfig first;  // 32 px, backbone and text encoder together
  first.recipe = "nano_32";
  first.model = nano_model(32);
  first.text.tokenizer = "tokenizer";
  first.text.is_trained = true;
  first.text.config = t5gemma_nano(kVocabulary);
  first.data_sets = caches("cache32");
  first.data_sets.pop_back();  // words cannot be read at this size
  first.data_weights = {12, 1, 1, 1, 0.5, 2};
  first.max_caption_tokens = 9;
  first.time.train_timestep_shift = 0.2;
  first.num_steps = 8'000;
  first.global_batch_size = 128;
  first.learning_rate = 1e-3;
  first.num_warmup_steps = 200;
  first.beta2 = 0.99;
  first.ema_decay = 0.995;
  first.log_every = 20;
  first.sample_every = 1000;
  first.sample_prompts = {"a red apple on a blue plate",
                          "a 3D render of a penguin",
                          "a flat icon of a penguin",
                          "a red heart",
                          "a cat and a dog",
                          "a yellow star above a green tree on a white background",
                          "an astronaut",
                          "a drawing of a house with thick black outlines",
                          "a fire engine",
                          "a blue square and a red circle",
                          "the word \"hello\" in red letters",
                          "a grinning face"};
  first.checkpoint_every = 500;
  first.keep_every = 5000;

  TrainConfig joint = first;  // 64 px, captions of any length
  joint.recipe = "nano_64";
  joint.model = nano_model(64);
  joint.init_from = "nano_32";
  joint.data_sets = caches("cache64");
  joint.data_weights.push_back(0.5);
  joint.max_caption_tokens = 0;
  joint.time.train_timestep_shift = 0.3;
  joint.num_steps = 3'800;
  joint.decay_start = 0.5;

  TrainConfig fine = joint;  // 128 px, from the cached states of the trained encoder
  fine.recipe = "nano_128";
  fine.model = nano_model(128);
  fine.init_from = "nano_64";
  fine.text.is_trained = false;
  fine.text.encoder = "nano_64/text_encoder";
  fine.data_sets = caches("cache128");
  fine.num_steps = 2'400;
  fine.global_batch_size = 64;
  fine.learning_rate = 3e-4;
  return {first, joint, fine};
}

}  // namespace i1
