// The state of a run and the optimizer, against a plain twin in double precision.
#include "i1/train/state.h"

#include <limits>
#include <map>

#include "i1/model/weights.h"
#include "i1/train/train_testing.h"
#include "i1/train/trainer.h"

namespace i1 {
namespace {

using namespace i1::testing;
using Tensors = std::map<std::string, at::Tensor>;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

Tensors tensors_of(Net& net) {
  Tensors tensors;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
    if (tensor.defined()) tensors[key] = tensor;
  });
  return tensors;
}

TEST(TrainState, BeginsWithAveragesOfTheWeightsAndMomentsOfZero) {
  TrainState state = initial_state(small_run(), at::kCPU);
  EXPECT_EQ(state.step, 0);
  const Tensors ema = tensors_of(state.ema), mu = tensors_of(state.mu), nu = tensors_of(state.nu);
  for (const auto& [key, weight] : tensors_of(state.weights)) {
    EXPECT_EQ(weight.scalar_type(), at::kFloat) << key;
    EXPECT_TRUE(at::equal(weight, ema.at(key))) << key;
    EXPECT_FALSE(weight.is_alias_of(ema.at(key))) << key;
    EXPECT_EQ(mu.contains(key), is_trained(key)) << key;
    EXPECT_EQ(nu.contains(key), is_trained(key)) << key;
    if (!is_trained(key)) continue;
    EXPECT_EQ(mu.at(key).scalar_type(), at::kBFloat16) << key;
    EXPECT_EQ(nu.at(key).scalar_type(), at::kFloat) << key;
    EXPECT_TRUE(at::equal(mu.at(key), at::zeros_like(mu.at(key)))) << key;
    EXPECT_TRUE(at::equal(nu.at(key), at::zeros_like(nu.at(key)))) << key;
    EXPECT_FALSE(mu.at(key).is_alias_of(nu.at(key))) << key;
  }
  EXPECT_TRUE(is_trained("text_encoder.embed_tokens.weight"));
  EXPECT_TRUE(is_trained("backbone.text_encoder_adapter.learnable_null_caption"));
  EXPECT_FALSE(is_trained("backbone.pos_embed"));
  EXPECT_FALSE(is_trained("backbone.rope_embedder.cos_tables.0"));
  EXPECT_FALSE(is_trained("backbone.t_embedder.linear1.weight"));
}

TEST(TrainState, FollowsFromTheSeed) {
  TrainConfig config = small_run();
  const TrainState first = initial_state(config, at::kCPU);
  expect_equal(first, initial_state(config, at::kCPU));
  ++config.seed;
  const TrainState other = initial_state(config, at::kCPU);
  EXPECT_FALSE(at::equal(first.weights.backbone.final_linear.weight,
                         other.weights.backbone.final_linear.weight));
  EXPECT_FALSE(at::equal(first.weights.text_encoder->embed_tokens.weight,
                         other.weights.text_encoder->embed_tokens.weight));
  config.text.is_trained = false;
  EXPECT_FALSE(initial_state(config, at::kCPU).weights.text_encoder);
}

TEST(TrainState, AStageTakesOverWhatIsTrainedAndKeepsItsOwnTables) {
  TrainConfig config = small_run();
  TrainState earlier = initial_state(config, at::kCPU);
  for_each_tensor(earlier.ema, "", [](const std::string&, at::Tensor& tensor) { tensor += 1; });
  config.model.resolution = 64;
  config.model.latent_size = 8;
  ++config.seed;
  TrainState state = initial_state(config, at::kCPU);
  const TrainState before = deep_copy(state);
  start_from(state, earlier.weights, earlier.ema, "earlier");
  EXPECT_EQ(state.step, 0);
  const Tensors weights = tensors_of(earlier.weights), averages = tensors_of(earlier.ema);
  for (const auto& [key, weight] : tensors_of(state.weights)) {
    if (!is_trained(key)) continue;
    EXPECT_TRUE(at::equal(weight, weights.at(key))) << key;
    EXPECT_FALSE(weight.is_alias_of(weights.at(key))) << key;
  }
  for (const auto& [key, average] : tensors_of(state.ema)) {
    if (!is_trained(key)) continue;
    EXPECT_TRUE(at::equal(average, averages.at(key))) << key;
  }
  EXPECT_TRUE(at::equal(state.weights.backbone.pos_embed, before.weights.backbone.pos_embed));
  EXPECT_EQ(state.weights.backbone.pos_embed.size(1), 16);

  config.text.is_trained = false;  // the encoder stays behind
  TrainState backbone_alone = initial_state(config, at::kCPU);
  start_from(backbone_alone, earlier.weights, earlier.ema, "earlier");
  EXPECT_FALSE(backbone_alone.weights.text_encoder);
  EXPECT_TRUE(at::equal(backbone_alone.weights.backbone.final_linear.weight,
                        earlier.weights.backbone.final_linear.weight));
}

TEST(TrainState, ANetOfAnotherSizeIsNamed) {
  TrainConfig config = small_run();
  TrainState state = initial_state(config, at::kCPU);
  const auto refuses = [&](const std::string& expected, const TrainConfig& other) {
    const TrainState earlier = initial_state(other, at::kCPU);
    expect_error(expected, [&] { start_from(state, earlier.weights, earlier.ema, "runs/first"); });
  };
  TrainConfig other = config;
  other.text.is_trained = false;
  refuses("runs/first: has no \"text_encoder.embed_tokens.weight\", which this stage trains",
          other);
  other = config;
  other.model.mlp_ratio = 3;
  refuses("w12.weight\" has shape [96, 24], this stage's has [64, 24]", other);
  other = config;
  other.text.config.vocab_size = 40;
  refuses("\"text_encoder.embed_tokens.weight\" has shape [40, 16]", other);
}

TEST(ComputeNet, IsTheWeightsThemselvesInFloat32AndRoundedCopiesInBfloat16) {
  TrainState state = initial_state(small_run(), at::kCPU);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Net net = compute_net(state.weights, dtype);
    const Tensors leaves = tensors_of(net);
    for (const auto& [key, weight] : tensors_of(state.weights)) {
      const at::Tensor& leaf = leaves.at(key);
      EXPECT_EQ(leaf.requires_grad(), is_trained(key)) << key;
      EXPECT_FALSE(weight.requires_grad()) << key;
      EXPECT_TRUE(at::equal(leaf, weight.to(leaf.scalar_type()))) << key;
      EXPECT_EQ(leaf.is_alias_of(weight), leaf.scalar_type() == at::kFloat) << key;
    }
    EXPECT_EQ(leaves.at("backbone.final_layer.linear.weight").scalar_type(), dtype);
    EXPECT_EQ(leaves.at("backbone.final_layer.norm_final.scale").scalar_type(), at::kFloat);
  }
}

// The optimizer. Losses here are sums of leaf times coefficient, whose gradients are known.

at::Tensor linear_loss(Net& compute, const Tensors& coefficients) {
  at::Tensor loss = at::zeros({}, at::kFloat);
  const Tensors leaves = tensors_of(compute);
  for (const auto& [key, coefficient] : coefficients)
    loss = loss + (leaves.at(key).to(at::kFloat) * coefficient).sum();
  return loss;
}

Tensors random_gradients(Net& weights, double size) {
  Tensors gradients;
  for (const auto& [key, weight] : tensors_of(weights)) {
    if (is_trained(key)) gradients[key] = at::randn(weight.sizes()) * size;
  }
  return gradients;
}

// Kingma & Ba 2015, algorithm 1, on float64 tensors, with what i1 adds.
struct Twin {
  Tensors weights, ema, mu, nu;
  StepMetrics metrics;

  explicit Twin(TrainState state) {
    const auto wide = [](Net& net) {
      Tensors tensors = tensors_of(net);
      for (auto& [key, tensor] : tensors) tensor = tensor.to(at::kDouble, false, /*copy=*/true);
      return tensors;
    };
    weights = wide(state.weights);
    ema = wide(state.ema);
    mu = wide(state.mu);
    nu = wide(state.nu);
  }

  static double norm_of(const Tensors& tensors) {
    double sum = 0;
    for (const auto& [key, tensor] : tensors) sum += tensor.square().sum().item<double>();
    return std::sqrt(sum);
  }

  void step(const TrainConfig& config, const Tensors& gradients) {
    ++metrics.step;
    const auto t = static_cast<double>(metrics.step);
    Tensors wide, updates;
    for (const auto& [key, gradient] : gradients) wide[key] = gradient.to(at::kDouble);
    metrics.gradient_norm = norm_of(wide);
    const double clip = config.max_gradient_norm > 0
                            ? std::min(1.0, config.max_gradient_norm / metrics.gradient_norm)
                            : 1;
    metrics.learning_rate = learning_rate_at(config, metrics.step);
    for (auto& [key, weight] : weights) {
      if (is_trained(key)) {
        const at::Tensor g = wide.contains(key) ? wide[key] * clip : at::zeros_like(weight);
        const double rate =
            metrics.learning_rate *
            (key.starts_with("text_encoder.") ? config.text.learning_rate_scale : 1);
        const at::Tensor m = config.beta1 * mu[key] + (1 - config.beta1) * g;
        nu[key] = config.beta2 * nu[key] + (1 - config.beta2) * g * g;
        updates[key] = rate * (m / (1 - std::pow(config.beta1, t))) /
                       (at::sqrt(nu[key] / (1 - std::pow(config.beta2, t))) + config.eps);
        weight = weight - updates[key];
        mu[key] = config.first_moment_dtype == "bfloat16" ? m.to(at::kBFloat16).to(at::kDouble) : m;
      }
      ema[key] = config.ema_decay * ema[key] + (1 - config.ema_decay) * weight;
    }
    metrics.update_norm = norm_of(updates);
    metrics.weight_norm = norm_of(weights);
    metrics.ema_norm = norm_of(ema);
  }
};

struct Difference {
  double max = 0, mean = 0;  // absolute
};

Difference difference(Net& net, const Tensors& expected) {
  Difference difference;
  int64_t count = 0;
  for (const auto& [key, tensor] : tensors_of(net)) {
    const at::Tensor error = (tensor.to(at::kDouble) - expected.at(key)).abs();
    difference.max = std::max(difference.max, error.max().item<double>());
    difference.mean += error.sum().item<double>();
    count += tensor.numel();
  }
  difference.mean /= static_cast<double>(count);
  return difference;
}

TEST(Optimizer, EqualsAPlainTwinInDoublePrecision) {
  constexpr int64_t kSteps = 12;
  for (const char* moment : {"float32", "bfloat16"}) {
    SCOPED_TRACE(moment);
    TrainConfig config = small_run();
    config.first_moment_dtype = moment;
    config.num_steps = kSteps;
    config.num_warmup_steps = 3;
    config.decay_start = 0.5;
    config.learning_rate = 0.01;
    config.text.learning_rate_scale = 0.25;
    at::manual_seed(0);
    TrainState state = initial_state(config, at::kCPU);
    state.ema.backbone.pos_embed += 1;  // averages of frozen tables move too
    Twin twin(state);
    Net compute = compute_net(state.weights, at::kFloat);
    Optimizer optimizer(config, state, compute);
    for (int64_t step = 1; step <= kSteps; ++step) {
      // Norms of about 100, which are clipped, and of about 0.1, which are not.
      Tensors gradients = random_gradients(state.weights, step % 2 == 0 ? 1 : 1e-3);
      if (step % 3 == 0) gradients.erase("backbone.final_layer.linear.weight");
      optimizer.accumulate(linear_loss(compute, gradients));
      const StepMetrics found = optimizer.step();
      twin.step(config, gradients);
      EXPECT_EQ(found.step, step);
      EXPECT_EQ(found.learning_rate, twin.metrics.learning_rate);
      for (const auto& [a, b] : {std::pair{found.gradient_norm, twin.metrics.gradient_norm},
                                 {found.update_norm, twin.metrics.update_norm},
                                 {found.weight_norm, twin.metrics.weight_norm},
                                 {found.ema_norm, twin.metrics.ema_norm}}) {
        EXPECT_NEAR(a, b, 1e-4 * b + 1e-12);  // a first moment that rounds the other way: 2^-8
      }
    }
    // A step moves a weight by at most ten learning rates, from operations that round a few times,
    // and rounds the weight itself. Where the first moment rounds to the other neighbour, which is
    // rare, the direction behind it is off by 2^-8: the largest difference may show that, the mean
    // may not (the weight moved by the rounded moment would be off by 1e-5 on average).
    const double rounding = kSteps * kEpsilon * (1 + 100 * config.learning_rate);
    const double flip = config.first_moment_dtype == std::string("bfloat16")
                            ? kSteps * 10 * config.learning_rate / 256
                            : 0;
    for (const auto& [net, expected] :
         {std::pair{&state.weights, &twin.weights}, {&state.ema, &twin.ema}}) {
      const Difference found = difference(*net, *expected);
      EXPECT_LE(found.max, rounding + flip);
      EXPECT_LE(found.mean, rounding);
    }
    // Clipped gradients are smaller than 1, and so are the moments.
    EXPECT_LE(difference(state.nu, twin.nu).max, kSteps * kEpsilon);
    EXPECT_LE(difference(state.mu, twin.mu).mean, kSteps * kEpsilon);
  }
}

TEST(Optimizer, RoundedCopiesFollowTheWeights) {
  TrainConfig config = small_run();
  config.learning_rate = 0.1;
  TrainState state = initial_state(config, at::kCPU);
  const TrainState before = deep_copy(state);
  Net compute = compute_net(state.weights, at::kBFloat16);
  Optimizer optimizer(config, state, compute);
  optimizer.accumulate(linear_loss(compute, random_gradients(state.weights, 1)));
  optimizer.step();
  EXPECT_FALSE(at::equal(state.weights.backbone.final_linear.weight,
                         before.weights.backbone.final_linear.weight));
  const Tensors leaves = tensors_of(compute);
  for (const auto& [key, weight] : tensors_of(state.weights))
    EXPECT_TRUE(at::equal(leaves.at(key), weight.to(leaves.at(key).scalar_type()))) << key;
}

TEST(Optimizer, ForgetsTheGradientsAfterAStep) {
  TrainConfig config = small_run();
  TrainState state = initial_state(config, at::kCPU);
  Net compute = compute_net(state.weights, at::kFloat);
  Optimizer optimizer(config, state, compute);
  const Tensors gradients = random_gradients(state.weights, 1);
  optimizer.accumulate(linear_loss(compute, gradients));
  for (const auto& [key, gradient] : optimizer.gradients())
    EXPECT_TRUE(at::equal(gradient, gradients.at(key))) << key;
  const double norm = optimizer.step().gradient_norm;
  for (const auto& [key, gradient] : optimizer.gradients()) EXPECT_FALSE(gradient.defined()) << key;
  optimizer.accumulate(linear_loss(compute, gradients));
  EXPECT_EQ(optimizer.step().gradient_norm, norm);
}

void expect_failure(const std::string& expected, const std::function<void()>& run) {
  try {
    run();
    ADD_FAILURE() << "accepted: " << expected;
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.what(), expected);
  }
}

TEST(Optimizer, WhatIsNotFiniteIsNamedAndChangesNothing) {
  const TrainConfig config = small_run();
  const std::string key = "backbone.final_layer.linear.bias";
  const auto refuses = [&](const std::string& expected,
                           const std::function<at::Tensor(const at::Tensor&)>& loss_of) {
    TrainState state = initial_state(config, at::kCPU);
    state.step = 4;
    const TrainState before = deep_copy(state);
    Net compute = compute_net(state.weights, at::kFloat);
    Optimizer optimizer(config, state, compute);
    optimizer.accumulate(loss_of(tensors_of(compute).at(key)));
    expect_failure(expected, [&] { optimizer.step(); });
    expect_equal(state, before);
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  refuses("step 5: the loss is nan", [](const at::Tensor& leaf) { return leaf.sum() * NAN; });
  refuses("step 5: the loss is inf", [](const at::Tensor& leaf) { return leaf.sum() + kInfinity; });
  refuses("step 5: the gradient of " + key + " is not finite",
          [](const at::Tensor& leaf) { return at::sqrt(leaf * 0).sum(); });
}

}  // namespace
}  // namespace i1
