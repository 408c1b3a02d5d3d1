// The paper's runs (sec. 4 and appendix; the reference's torch_train/configs).
#include "recipes/recipes.h"

namespace i1 {

// The longest stage. Each set holds its pictures at the stage's resolution, at most a million of
// them from 512 px on.
TrainConfig i1_256() {
  TrainConfig config;
  config.recipe = "i1_256";
  config.model = preset_i1_3b(256);
  config.text.tokenizer = config.text.encoder = "t5gemma-2b-2b-ul2-it";
  config.data_sets = {"yfcc",   "imagenet22k", "rendered_text", "megalith",
                      "places", "fluxreason",  "textatlas",     "redcaps",
                      "pexels", "gptedit",     "midjourneyv6"};
  config.num_steps = 2'000'000;
  config.global_batch_size = 512;
  return config;
}

TrainConfig i1_512() {
  TrainConfig config = i1_256();
  config.recipe = "i1_512";
  config.model = preset_i1_3b(512);
  config.init_from = "i1_256";
  std::erase(config.data_sets, "yfcc");  // as the reference's list does
  config.num_steps = 500'000;
  return config;
}

TrainConfig i1_1024() {
  TrainConfig config = i1_512();
  config.recipe = "i1_1024";
  config.model = preset_i1_3b(1024);
  config.init_from = "i1_512";
  config.time.train_timestep_shift = 0.3;
  config.data_sets = {"fluxreason", "textatlas", "gptedit", "midjourneyv6", "redcaps"};
  config.num_steps = 300'000;
  config.global_batch_size = 128;
  return config;
}

TrainConfig quick_start() {
  TrainConfig config = i1_256();
  config.recipe = "quick_start";
  config.model = preset_xl(256);
  config.data_sets = {"gptedit"};
  config.num_steps = 500'000;
  return config;
}

}  // namespace i1
