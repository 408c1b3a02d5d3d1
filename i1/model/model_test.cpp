// The backbone as a function: packing, masks, skips, shapes, gradients. That its numbers are the
// reference's is what goldens/dit shows.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "i1/model/model_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

// goldens/dit/README.md: what two float32 evaluations of such a net may differ by. Outputs are of
// order one.
constexpr double kTolerance = 5e-5;

TEST(DualStream, PackedSamplesEqualEachSampleAlone) {
  const DualStream model = random_model(tiny_config());
  const PaddedCaptions captions = random_captions(model.config, {6, 1, 0, 3});
  for (const auto& [height, width] : {std::pair{8, 8}, {4, 10}}) {  // as trained, and not square
    const at::Tensor x = at::randn({4, 3, height, width});
    const at::Tensor all = velocity_of(model, x, condition_of(model, captions));
    ASSERT_EQ(all.sizes(), x.sizes());
    for (int64_t b = 0; b < 4; ++b) {
      const PaddedCaptions own{captions.states.narrow(0, b, 1), captions.mask.narrow(0, b, 1)};
      const at::Tensor alone = velocity_of(model, x.narrow(0, b, 1), condition_of(model, own));
      EXPECT_LE(largest_difference(all.narrow(0, b, 1), alone), kTolerance) << "sample " << b;
    }
  }
}

TEST(DualStream, OneCaptionServesManySamples) {
  const DualStream model = random_model(tiny_config());
  const PaddedCaptions captions = random_captions(model.config, {4});
  const at::Tensor x = at::randn({2, 3, 8, 8});
  const at::Tensor rows =
      adapt(model.text_encoder_adapter, model.config, captions_from_padded(captions.states));
  const at::Tensor shared = velocity_of(model, x, gather_condition(rows, {{0, 4}, {0, 4}}));
  const PaddedCaptions twice{captions.states.repeat({2, 1, 1}), captions.mask.repeat({2, 1})};
  EXPECT_LE(largest_difference(shared, velocity_of(model, x, condition_of(model, twice))),
            kTolerance);
}

TEST(DualStream, TokensOfACaptionWithHolesKeepTheirPlaces) {
  const DualStream model = random_model(tiny_config());
  PaddedCaptions captions = random_captions(model.config, {6, 2});
  captions.mask[0] = at::tensor({1, 0, 1, 0, 0, 1}, at::kByte);
  const Condition condition = condition_of(model, captions);
  EXPECT_EQ(condition.text_offsets, (std::vector<int64_t>{0, 3, 5}));
  EXPECT_TRUE(at::equal(condition.time_positions, at::tensor({0, 2, 5, 0, 1}, at::kLong)));
  // Image tokens sit at the number of valid tokens, three: whatever the holes hold after the
  // adapter reaches nothing.
  const at::Tensor rows =
      adapt(model.text_encoder_adapter, model.config, captions_from_padded(captions.states));
  at::Tensor adapted = rows.view({2, 6, -1}).clone();
  const at::Tensor x = at::randn({2, 3, 8, 8});
  const at::Tensor before = velocity_of(model, x, condition_from_padded(adapted, captions.mask));
  adapted[0][1].fill_(100);
  adapted[0][4].fill_(-100);
  const at::Tensor after = velocity_of(model, x, condition_from_padded(adapted, captions.mask));
  EXPECT_TRUE(at::equal(before, after));
  adapted[0][2] += 1;
  EXPECT_GT(largest_difference(
                before, velocity_of(model, x, condition_from_padded(adapted, captions.mask))),
            0.001);
}

TEST(DualStream, NoMaskMeansThatEveryTokenIsValid) {
  const DualStream model = random_model(tiny_config());
  PaddedCaptions captions = random_captions(model.config, {6, 6});
  const at::Tensor x = at::randn({2, 3, 8, 8});
  const at::Tensor masked = velocity_of(model, x, condition_of(model, captions));
  captions.mask = at::Tensor();
  EXPECT_TRUE(at::equal(masked, velocity_of(model, x, condition_of(model, captions))));
}

TEST(DualStream, AnEmptyCaptionIsFiniteAndSaysNothing) {
  const DualStream model = random_model(tiny_config());
  const at::Tensor x = at::randn({1, 3, 8, 8});
  const at::Tensor one =
      velocity_of(model, x, condition_of(model, random_captions(model.config, {0})));
  const at::Tensor two =
      velocity_of(model, x, condition_of(model, random_captions(model.config, {0})));
  EXPECT_TRUE(one.isfinite().all().item<bool>());
  EXPECT_TRUE(at::equal(one, two));  // other states, as empty
  const at::Tensor full =
      velocity_of(model, x, condition_of(model, random_captions(model.config, {6})));
  EXPECT_GT(largest_difference(one, full), 0.01);
}

TEST(Adapter, PaddingTakesPartAndOneBiasedRowStandsForEqualOnes) {
  const DualStream model = random_model(tiny_config());
  const Adapter& adapter = model.text_encoder_adapter;
  const at::Tensor tokens = at::randn({2, 10}), padding = at::randn({1, 10});
  const at::Tensor whole =
      adapt(adapter, model.config, {at::cat({tokens, padding.expand({4, 10})}), {0, 6}, {}});
  const at::Tensor short_one = adapt(
      adapter, model.config,
      {at::cat({tokens, padding}), {0, 3}, at::tensor({0.0, 0.0, std::log(4.0)}, at::kFloat)});
  EXPECT_LE(largest_difference(whole.narrow(0, 0, 3), short_one), kTolerance);
  const at::Tensor without = adapt(adapter, model.config, {tokens, {0, 2}, {}});
  EXPECT_GT(largest_difference(whole.narrow(0, 0, 2), without), 0.01);
}

// Depth and skips.

TEST(DualStream, EvenDepthWithLongSkipsBuildsOneBlockMore) {
  ModelConfig config = tiny_config();
  for (const int64_t depth : {4, 5}) {
    config.depth = depth;
    const DualStream model = make_dual_stream(config);
    EXPECT_EQ(model.in_blocks.size() + 1 + model.out_blocks.size(), 5u) << depth;
    EXPECT_EQ(model.in_blocks.size(), model.out_blocks.size());
    EXPECT_TRUE(model.mid_block && model.blocks.empty());
    for (const Block& block : model.in_blocks) EXPECT_FALSE(block.skip_linear_image);
    for (const Block& block : model.out_blocks)
      EXPECT_EQ(block.skip_linear_image->weight.sizes(), (at::IntArrayRef{24, 48}));
  }
  config.depth = 4;
  config.use_long_skip = false;
  const DualStream plain = make_dual_stream(config);
  EXPECT_EQ(plain.blocks.size(), 4u);
  EXPECT_FALSE(plain.mid_block);
}

TEST(DualStream, SkipsAreReadLastInFirstOutAsCurrentThenStored) {
  const DualStream model = random_model(tiny_config());
  std::map<std::string, at::Tensor> seen;
  const Observer observer = [&](const std::string& stage, const at::Tensor& value) {
    seen[stage] = value;
  };
  const Condition condition = condition_of(model, random_captions(model.config, {3}));
  const at::Tensor x = at::randn({1, 3, 8, 8});
  const at::Tensor watched = velocity_of(model, x, condition, &observer);
  EXPECT_LE(largest_difference(watched, velocity_of(model, x, condition)), kTolerance);
  const auto expect_skip = [&](size_t block, const char* current, const char* stored) {
    const Linear& linear = *model.out_blocks[block].skip_linear_image;
    const at::Tensor both = at::cat({seen.at(current), seen.at(stored)}, 1).narrow(0, 0, 16);
    const at::Tensor found = seen.at(concat("out_blocks.", block, ".skip")).narrow(0, 0, 16);
    EXPECT_LE(largest_difference(found, at::linear(both, linear.weight, linear.bias)), kTolerance);
  };
  expect_skip(0, "mid_block.out", "in_blocks.1.out");
  expect_skip(1, "out_blocks.0.out", "in_blocks.0.out");
}

// Shapes and positions.

TEST(DualStream, PositionsOfAnotherShapeSpanTheTrainedArea) {
  const DualStream model = random_model(tiny_config());
  const Condition condition = condition_of(model, random_captions(model.config, {2}));
  EXPECT_TRUE(at::equal(make_layout(model, 8, 8, condition).pos_embed, model.pos_embed[0]));
  for (const auto& [height, width] : {std::pair{4, 16}, {8, 16}, {16, 4}, {16, 16}}) {
    const Layout layout = make_layout(model, height, width, condition);
    EXPECT_EQ(layout.rows, height / 2);
    EXPECT_EQ(layout.columns, width / 2);
    ASSERT_EQ(layout.pos_embed.size(0), layout.rows * layout.columns);
    // 256 / R times the ratio of the sides of two squares of these areas.
    const double scale = 256.0 / 64 * 8 / std::sqrt(height * width);
    // The middle lies where that of the square of as many tokens does.
    const double side = std::sqrt(layout.rows * layout.columns);
    const double row = 1 + (side - layout.rows) / 2, column = (side + layout.columns) / 2 - 1;
    const at::Tensor place = layout.pos_embed[2 * layout.columns - 1];
    // The first half of the channels is the column, the second the row; each [sin | cos].
    // Angles up to 20 in float32.
    EXPECT_NEAR(place[0].item<double>(), std::sin(scale * column), 1e-5);
    EXPECT_NEAR(place[6].item<double>(), std::cos(scale * column), 1e-5);
    EXPECT_NEAR(place[12].item<double>(), std::sin(scale * row), 1e-5);
    EXPECT_NEAR(place[18].item<double>(), std::cos(scale * row), 1e-5);
  }
}

TEST(DualStream, LatentsThatNoPatchesFillAreRefused) {
  const DualStream model = random_model(tiny_config());
  const Condition condition = condition_of(model, random_captions(model.config, {2}));
  expect_error("latents of 8x7 cannot be cut into patches of 2",
               [&] { make_layout(model, 8, 7, condition); });
  expect_error("latents of 0x8", [&] { make_layout(model, 0, 8, condition); });
}

// Gradients.

// (B, C, h, w) as the tokens of the final layer: (row in patch, column in patch, channel).
at::Tensor as_tokens(const at::Tensor& x, int64_t P) {
  return x.view({x.size(0), x.size(1), x.size(2) / P, P, x.size(3) / P, P})
      .permute({0, 2, 4, 3, 5, 1})
      .reshape({-1, P * P * x.size(1)});
}

// Two samples in float64: one under its own caption, one under the null caption with a mask of
// three, as caption dropout makes it.
struct Problem {
  DualStream model;
  at::Tensor x = at::randn({2, 3, 4, 6}, at::kDouble), probe = at::randn({2, 3, 4, 6}, at::kDouble);
  at::Tensor states = at::randn({1, 6, 10}, at::kDouble);

  at::Tensor run(const Observer* observer = nullptr) const {
    const Captions captions =
        join(captions_from_padded(states),
             captions_from_padded(model.text_encoder_adapter.learnable_null_caption));
    const at::Tensor rows = adapt(model.text_encoder_adapter, model.config, captions);
    const Condition condition = gather_condition(rows, {{0, 5}, {6, 3}});
    Layout layout = make_layout(model, x.size(2), x.size(3), condition);
    layout.angles = {layout.angles.cos.to(at::kDouble), layout.angles.sin.to(at::kDouble)};
    return velocity(model, x, condition, layout, observer);
  }

  // <velocity, probe>; the velocity itself is rounded to float32, its tokens are not.
  double loss() const {
    double sum = 0;
    const Observer observer = [&](const std::string& stage, const at::Tensor& value) {
      if (stage == "final.tokens")
        sum = (value * as_tokens(probe, model.config.patch_size)).sum().item<double>();
    };
    run(&observer);
    return sum;
  }
};

TEST(DualStream, GradientsEqualFiniteDifferences) {
  for (const bool is_final_recipe : {true, false}) {
    ModelConfig config = tiny_config();
    config.depth = 3;
    if (!is_final_recipe) {
      config.use_long_skip = config.use_sandwich_norm = config.use_swiglu = false;
      config.use_separate_norms = config.use_separate_qk_norms = true;
    }
    Problem problem{random_model(config, at::kDouble)};
    problem.probe = problem.probe.to(at::kFloat).to(at::kDouble);  // passes the rounding unchanged
    std::vector<std::pair<std::string, at::Tensor>> inputs = {{"x_t", problem.x},
                                                              {"caption", problem.states}};
    for (const auto& [key, tensor] : to_tensor_map(problem.model))
      if (!is_frozen(key)) inputs.emplace_back(key, tensor);
    std::vector<at::Tensor> leaves;
    for (auto& [key, tensor] : inputs) leaves.push_back(tensor.requires_grad_());
    const std::vector<at::Tensor> gradients = torch::autograd::grad(
        {problem.run()}, leaves, {problem.probe.to(at::kFloat)}, std::nullopt, false, true);

    const std::string last = config.use_long_skip ? "out_blocks.0." : "blocks.2.";
    const at::NoGradGuard no_gradients;
    // Truncation is of order h^2, cancellation 1e-15 / h: both below 1e-8. Along a unit vector.
    constexpr double h = 1e-5, kDifferenceTolerance = 1e-7;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::string& key = inputs[i].first;
      const at::Tensor& tensor = inputs[i].second;
      at::Tensor direction = at::randn(tensor.sizes(), at::kDouble);
      direction /= direction.norm();
      const auto moved = [&](double by) {
        tensor.add_(by * direction);
        const double loss = problem.loss();
        tensor.sub_(by * direction);
        return loss;
      };
      const double slope = (moved(h) - moved(-h)) / (2 * h);
      // The last block's text reaches nothing behind its attention, times reach nothing at all.
      const bool is_idle =
          key.starts_with("t_embedder.") || key.starts_with(last + "attn.proj_text") ||
          key.starts_with(last + "mlp_text") || key.starts_with(last + "norm2_text");
      const at::Tensor& gradient = gradients[i];
      if (is_idle) {
        EXPECT_TRUE(!gradient.defined() || gradient.count_nonzero().item<int64_t>() == 0) << key;
        EXPECT_EQ(slope, 0) << key;
      } else {
        ASSERT_TRUE(gradient.defined()) << key;
        EXPECT_NEAR((gradient * direction).sum().item<double>(), slope, kDifferenceTolerance)
            << key;
      }
    }
  }
}

}  // namespace
}  // namespace i1
