// Recipes' fields, the learning rate over a run, and when periodic actions are due.
#include "i1/train/config.h"

#include "i1/core/config.h"
#include "i1/train/train_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

TEST(TrainConfig, ComesBackFromJson) {
  TrainConfig config = small_run();
  for (const char* assignment :
       {"seed=18446744073709551615", "model.depth=5", "text.config.sliding_window=7",
        "time.t_distribution=uniform", "data_sets=[\"a\",\"b\"]", "data_weights=[0.1,1e-9]",
        "learning_rate=0.30000000000000004", "num_steps=2e6", "sample_prompts=[\"a \\\"b\\\"\"]",
        "init_from=../earlier run"}) {
    set_field(config, assignment);
  }
  EXPECT_EQ(config.num_steps, 2'000'000);
  TrainConfig found;
  from_json(found, nlohmann::json::parse(to_json(config).dump(1)), "stored");
  EXPECT_EQ(to_json(found), to_json(config));
  EXPECT_EQ(found.learning_rate, 0.30000000000000004);
  EXPECT_EQ(found.seed, UINT64_MAX);
}

TEST(TrainConfig, AMisspeltFieldIsAnsweredWithTheNearest) {
  TrainConfig config = small_run();
  expect_error("nearest: \"learning_rate\"", [&] { set_field(config, "learningrate=1"); });
  expect_error("nearest: \"model.depth\"", [&] { set_field(config, "model.dept=1"); });
  expect_error("\"learning_rate\" cannot be \"nan\"",
               [&] { set_field(config, "learning_rate=nan"); });
  expect_error("\"num_steps\" cannot be 2.5", [&] { set_field(config, "num_steps=2.5"); });
  EXPECT_EQ(to_json(config), to_json(small_run()));
}

TEST(TrainConfig, ValuesThatCannotBeTrainedWithAreNamed) {
  check_train_config(small_run());
  const auto refuses = [](const std::string& expected, const std::string& assignment) {
    TrainConfig config = small_run();
    set_field(config, assignment);
    SCOPED_TRACE(assignment);
    expect_error("recipe " + config.recipe + ": " + expected, [&] { check_train_config(config); });
  };
  for (const char* name : {"\"\"", "a/b", "..", ".hidden"})
    refuses("a stage's name is that of its folder", std::string("recipe=") + name);
  refuses("depth is 0", "model.depth=0");
  refuses("text.config.hidden_size is 8, but model.text_width is 16", "text.config.hidden_size=8");
  refuses("data_sets is empty", "data_sets=[]");
  refuses("2 data_weights for 1 data_sets", "data_weights=[1,2]");
  for (const char* steps : {"0", "-1", "1000000000"})
    refuses(concat("num_steps is ", steps), concat("num_steps=", steps));
  refuses("global_batch_size 8 is not a multiple of num_accumulation_steps 3",
          "num_accumulation_steps=3");
  for (const char* name : {"num_accumulation_steps", "global_batch_size"})
    refuses("global_batch_size ", concat(name, "=0"));
  refuses("global_batch_size is 1000008", "global_batch_size=1000008");
  for (const char* name : {"num_warmup_steps", "log_every", "sample_every", "checkpoint_every",
                           "keep_every", "max_caption_tokens"}) {
    refuses(concat(name, " is -1, expected 0"), concat(name, "=-1"));
  }
  refuses("sample_every without sample_prompts", "sample_every=5");
  for (const char* name : {"learning_rate", "eps"}) {
    refuses(concat(name, " is 0, expected a positive number"), concat(name, "=0"));
    refuses(concat(name, " is -1, expected a positive number"), concat(name, "=-1"));
  }
  for (const char* name :
       {"max_gradient_norm", "text.learning_rate_scale", "time.t_std", "time.train_timestep_shift"})
    refuses(concat(name, " is -0.5, expected 0 or more"), concat(name, "=-0.5"));
  for (const char* name : {"beta1", "beta2", "ema_decay"}) {
    refuses(concat(name, " is 1, expected 0 to below 1"), concat(name, "=1"));
    refuses(concat(name, " is -0.1, expected 0 to below 1"), concat(name, "=-0.1"));
  }
  for (const char* name : {"caption_dropout", "decay_start"}) {
    refuses(concat(name, " is 1.5, expected 0 to 1"), concat(name, "=1.5"));
    refuses(concat(name, " is -0.5, expected 0 to 1"), concat(name, "=-0.5"));
  }
  refuses("compute_dtype is \"float16\"", "compute_dtype=float16");
  refuses("first_moment_dtype is \"auto\"", "first_moment_dtype=auto");
}

TEST(TrainConfig, EdgesThatCanBeTrainedWithAreTaken) {
  for (const char* assignment :
       {"max_gradient_norm=0", "beta1=0", "ema_decay=0", "caption_dropout=1", "decay_start=0",
        "log_every=0", "checkpoint_every=0", "keep_every=0", "num_accumulation_steps=8",
        "data_weights=[3]", "text.learning_rate_scale=0", "compute_dtype=auto",
        "num_steps=999999999", "num_warmup_steps=1000"}) {
    TrainConfig config = small_run();
    set_field(config, assignment);
    EXPECT_NO_THROW(check_train_config(config)) << assignment;
  }
}

TEST(LearningRate, WarmsUpStaysAndFallsAlongACosine) {
  TrainConfig config;
  config.learning_rate = 8;
  config.num_steps = 100;
  for (const int64_t step : {1, 50, 100}) EXPECT_EQ(learning_rate_at(config, step), 8);
  config.num_warmup_steps = 4;
  config.decay_start = 0.6;
  EXPECT_EQ(learning_rate_at(config, 1), 2);
  EXPECT_EQ(learning_rate_at(config, 3), 6);
  EXPECT_EQ(learning_rate_at(config, 4), 8);
  EXPECT_EQ(learning_rate_at(config, 5), 8);
  EXPECT_EQ(learning_rate_at(config, 60), 8);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 70), 4 * (1 + std::sqrt(0.5)));
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 80), 4);
  EXPECT_NEAR(learning_rate_at(config, 100), 0, 1e-12);
  EXPECT_NEAR(learning_rate_at(config, 101), 0, 1e-12);  // a run that went on
}

TEST(LearningRate, AWarmUpMayReachIntoTheDecay) {
  TrainConfig config;
  config.learning_rate = 8;
  config.num_steps = 100;
  config.num_warmup_steps = 100;
  config.decay_start = 0;
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 50), 8 * 0.5 * 0.5);
}

std::vector<int64_t> due_steps(const Due& due) {
  std::vector<int64_t> steps;
  for (int64_t step = 1; step <= due.last_step; ++step) {
    if (due(step)) steps.push_back(step);
  }
  return steps;
}

TEST(Due, AtTheFirstTheLastAndMultiplesThatAreNotCloseToIt) {
  using Steps = std::vector<int64_t>;
  EXPECT_EQ(due_steps({10, 40}), (Steps{1, 10, 20, 30, 40}));
  EXPECT_EQ(due_steps({10, 42}), (Steps{1, 10, 20, 30, 42}));        // 40 is 2 away
  EXPECT_EQ(due_steps({8, 42}), (Steps{1, 8, 16, 24, 32, 40, 42}));  // just a quarter away
  EXPECT_EQ(due_steps({10, 40, /*at_first=*/false}), (Steps{10, 20, 30, 40}));
  EXPECT_EQ(due_steps({10, 45, /*at_first=*/false, /*at_last=*/false}), (Steps{10, 20, 30, 40}));
  EXPECT_EQ(due_steps({100, 5}), (Steps{1, 5}));
  EXPECT_EQ(due_steps({1, 3}), (Steps{1, 2, 3}));
  EXPECT_EQ(due_steps({0, 5}), Steps{});
}

}  // namespace
}  // namespace i1
