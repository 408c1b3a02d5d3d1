// Steps of training on a tiny model and set.
#include "i1/train/trainer.h"

#include <ATen/Parallel.h>

#include "i1/core/config.h"
#include "i1/model/weights.h"
#include "i1/train/checkpoint.h"
#include "i1/train/train_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
namespace fs = std::filesystem;

fs::path small_cache() {
  static const fs::path cache = write_small_cache(fresh_folder("trainer") / "small");
  return cache;
}

std::vector<StepMetrics> train(const TrainConfig& config, int64_t num_steps,
                               TrainState* last = nullptr, const fs::path& cache = small_cache()) {
  at::set_num_threads(1);  // nothing here is large enough to be shared
  CachedBatches batches = open_batches(config, cache);
  Trainer trainer(config, initial_state(config, at::kCPU), batches, at::kCPU);
  std::vector<StepMetrics> metrics;
  while (trainer.state().step < num_steps) metrics.push_back(trainer.step());
  if (last != nullptr) *last = deep_copy(trainer.state());
  return metrics;
}

TEST(Trainer, TheLossFallsOnASetThatCanBeLearned) {
  TrainConfig config = small_run();
  config.learning_rate = 3e-3;
  for (const char* dtype : {"float32", "bfloat16"}) {
    config.compute_dtype = dtype;
    TrainState state;
    const std::vector<StepMetrics> metrics = train(config, 120, &state);
    double end = 0;
    for (int i = 0; i < 10; ++i) end += metrics[metrics.size() - 1 - i].loss / 10;
    // Velocities are 1 or -1 less a normal number: predicting 0 costs 2.
    EXPECT_GT(metrics[0].loss, 1.5) << dtype;
    EXPECT_LT(end, 0.5) << dtype;
    EXPECT_EQ(metrics.back().step, 120);
    EXPECT_EQ(state.data.num_draws, 120 * config.global_batch_size);
    EXPECT_EQ(state.weights.backbone.final_linear.weight.scalar_type(), at::kFloat);
  }
}

// Everything random decided: captions of different lengths, one of them dropped.
NoisyBatch noisy_batch(const TrainConfig& config, int64_t size) {
  at::manual_seed(0);
  NoisyBatch batch;
  const int64_t C = config.model.latent_channels, h = config.model.latent_size;
  batch.noise = at::randn({size, C, h, h});
  batch.image_latents = at::randn({size, C, h, h});
  batch.t = at::rand({size});
  batch.captions = captions_from_padded(
      at::randn({size, config.model.num_text_tokens, config.model.text_width}));
  for (int64_t b = 0; b < size; ++b)
    batch.rows.push_back({b * config.model.num_text_tokens, b % config.model.num_text_tokens});
  return batch;
}

NoisyBatch part_of(const NoisyBatch& batch, int64_t begin, int64_t size) {
  NoisyBatch part = batch;  // with all captions: rows say which
  part.noise = batch.noise.narrow(0, begin, size);
  part.image_latents = batch.image_latents.narrow(0, begin, size);
  part.t = batch.t.narrow(0, begin, size);
  part.rows.assign(batch.rows.begin() + begin, batch.rows.begin() + begin + size);
  return part;
}

TEST(Trainer, AccumulatedGradientsEqualThoseOfOneLargeBatch) {
  TrainConfig config = small_run();
  const NoisyBatch batch = noisy_batch(config, 12);
  const auto gradients = [&](int64_t num_parts, at::ScalarType dtype, StepMetrics& metrics) {
    config.num_accumulation_steps = num_parts;
    TrainState state = initial_state(config, at::kCPU);
    Net compute = compute_net(state.weights, dtype);
    Optimizer optimizer(config, state, compute);
    const int64_t size = 12 / num_parts;
    for (int64_t i = 0; i < num_parts; ++i)
      optimizer.accumulate(batch_loss(compute.backbone, part_of(batch, i * size, size)));
    auto found = optimizer.gradients();
    metrics = optimizer.step();
    return found;
  };
  // In float32 sums run in another order; in bfloat16 each part's gradient is rounded once.
  for (const auto& [dtype, tolerance] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 0.02}}) {
    StepMetrics whole, parts;
    const auto expected = gradients(1, dtype, whole);
    const auto found = gradients(3, dtype, parts);
    double num_compared = 0;
    for (const auto& [key, gradient] : expected) {
      ASSERT_EQ(gradient.defined(), found.at(key).defined()) << key;
      if (!gradient.defined()) continue;
      EXPECT_EQ(found.at(key).scalar_type(), at::kFloat) << key;
      const double error = (found.at(key) - gradient).norm().item<double>();
      EXPECT_LE(error, tolerance * (gradient.norm().item<double>() + 0.01 * whole.gradient_norm))
          << key;
      ++num_compared;
    }
    EXPECT_GT(num_compared, 30);
    EXPECT_NEAR(parts.loss, whole.loss, tolerance * whole.loss);
    EXPECT_NEAR(parts.gradient_norm, whole.gradient_norm, tolerance * whole.gradient_norm);
  }
}

TEST(Trainer, ABatchInPartsDrawsTheSameExamples) {
  TrainConfig config = small_run();
  TrainState whole, parts;
  train(config, 3, &whole);
  config.num_accumulation_steps = 4;
  train(config, 3, &parts);
  EXPECT_EQ(parts.data.num_draws, whole.data.num_draws);
  EXPECT_EQ(parts.step, whole.step);
}

TEST(Trainer, GoesOnFromACheckpointToTheLastBit) {
  for (const char* dtype : {"float32", "bfloat16"}) {
    TrainConfig config = small_run();
    config.compute_dtype = dtype;
    config.num_accumulation_steps = 2;
    config.num_warmup_steps = 4;
    config.decay_start = 0.2;
    TrainState straight, stopped;
    train(config, 7, &straight);
    train(config, 3, &stopped);
    const fs::path run = fresh_folder("resumed");
    save_checkpoint(run, config, stopped);
    TrainState resumed = *load_checkpoint(run, config, at::kCPU);
    CachedBatches batches = open_batches(config, small_cache());
    batches.restore(resumed.data);
    Trainer trainer(config, std::move(resumed), batches, at::kCPU);
    while (trainer.state().step < 7) trainer.step();
    expect_equal(trainer.state(), straight);
  }
}

TEST(Trainer, EveryRandomNumberFollowsFromTheSeed) {
  TrainConfig config = small_run();
  TrainState first, again, other;
  train(config, 2, &first);
  train(config, 2, &again);
  expect_equal(first, again);
  const double loss = train(config, 1)[0].loss;
  ++config.seed;
  EXPECT_NE(train(config, 1)[0].loss, loss);
}

TEST(Trainer, EverySwitchOfTheRecipeReachesTheStep) {
  const double loss = train(small_run(), 2)[1].loss;
  for (const char* assignment :
       {"time.t_distribution=uniform", "time.t_mean=1", "time.train_timestep_shift=0.3",
        "caption_dropout=1", "learning_rate=0.002", "num_warmup_steps=9", "decay_start=0",
        "text.learning_rate_scale=0", "num_accumulation_steps=2", "global_batch_size=4",
        "compute_dtype=bfloat16"}) {
    TrainConfig config = small_run();
    set_field(config, assignment);
    EXPECT_NE(train(config, 2)[1].loss, loss) << assignment;
  }
  // What acts on the second step's weights only: clipping, betas, and the average.
  TrainState plain;
  train(small_run(), 3, &plain);
  for (const char* assignment : {"max_gradient_norm=0.01", "beta1=0.5", "beta2=0.5", "eps=0.1",
                                 "ema_decay=0.5", "first_moment_dtype=float32"}) {
    TrainConfig config = small_run();
    set_field(config, assignment);
    TrainState state;
    train(config, 3, &state);
    EXPECT_FALSE(
        at::equal(state.ema.backbone.final_linear.weight, plain.ema.backbone.final_linear.weight))
        << assignment;
  }
}

TEST(Trainer, StoredTextStatesStandForTheEncoder) {
  TrainConfig config = small_run();
  config.caption_dropout = 0.5;
  const TrainState state = initial_state(config, at::kCPU);
  const T5GemmaEncoder& encoder = *state.weights.text_encoder;
  const int64_t T = config.model.num_text_tokens;
  const fs::path cache = write_small_cache(fresh_folder("states") / "small");
  add_text_states(cache, "test", encode_text(encoder, {{}}, T).hidden[0],
                  [&](const std::vector<std::vector<int64_t>>& captions) {
                    const PackedText text = encode_text(encoder, captions, T);
                    std::vector<at::Tensor> states;
                    for (const PackedPrompt& prompt : text.prompts)
                      states.push_back(text.hidden.narrow(0, prompt.begin, prompt.num_tokens));
                    return states;
                  });
  const double encoded = train(config, 1)[0].loss;
  config.text.is_trained = false;
  config.text.encoder = "encoder";
  const double stored = train(config, 1, nullptr, cache)[0].loss;
  EXPECT_NEAR(stored, encoded, encoded / 256);  // states are stored as bfloat16
}

TEST(Trainer, ALossThatIsNotFiniteStopsTheRunInOneLine) {
  const TrainConfig config = small_run();
  CachedBatches batches = open_batches(config, small_cache());
  TrainState state = initial_state(config, at::kCPU);
  state.weights.backbone.final_linear.bias[0] = NAN;
  const TrainState before = deep_copy(state);
  Trainer trainer(config, std::move(state), batches, at::kCPU);
  try {
    trainer.step();
    ADD_FAILURE() << "a step with a NaN in the weights";
  } catch (const Failure& failure) {
    EXPECT_STREQ(failure.what(), "step 1: the loss is nan");
  }
  EXPECT_EQ(trainer.state().step, 0);
  EXPECT_TRUE(at::equal(trainer.state().weights.backbone.patch_embed.weight,
                        before.weights.backbone.patch_embed.weight));
}

}  // namespace
}  // namespace i1
