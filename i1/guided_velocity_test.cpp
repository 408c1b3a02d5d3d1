// Guidance over passes of the backbone: however a step is cut, the same bits.
#include "i1/guided_velocity.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "i1/core/random.h"
#include "i1/pipeline_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

constexpr int64_t kSmall = 8, kLarge = 92;  // sides of latents: 16 and 2,116 tokens
const Guidance kGuidance = {.scale = 3, .rescale = 0.7, .start = 0.5};

// A backbone none of whose weights is zero.
DualStream busy_backbone(Precision precision) {
  DualStream backbone = make_dual_stream(tiny_bundle_config().model);
  initialize(backbone, RandomStream{1});
  const RandomStream stream{3};
  for_each_tensor(backbone, "", [&](const std::string& key, at::Tensor& tensor) {
    if (!is_frozen(key)) tensor = tensor + 0.05 * normal_tensor(tensor.sizes(), stream.child(key));
  });
  if (precision.has_int8_weights) quantize_blocks(backbone);
  return compute_copy(backbone, precision.dtype, at::kCPU);
}

// Of two pictures, with and without captions: 3, 5, 3 and 1 tokens.
Condition two_captions(const DualStream& backbone) {
  const at::Tensor rows = normal_tensor({8, backbone.config.hidden_size}, RandomStream{4});
  return gather_condition(rows.to(backbone.patch_embed.weight.scalar_type()),
                          {{0, 3}, {3, 5}, {4, 3}, {7, 1}});
}

at::Tensor two_latents(int64_t side) {
  return normal_tensor({2, tiny_bundle_config().model.latent_channels, side, side},
                       RandomStream{5});
}

// All four samples in one call of the backbone.
at::Tensor in_one_pass(const DualStream& backbone, const at::Tensor& x_t, double t) {
  const Condition condition = two_captions(backbone);
  const Layout layout = make_layout(backbone, x_t.size(2), x_t.size(3), condition);
  const std::vector<at::Tensor> halves =
      at::chunk(velocity(backbone, at::cat({x_t, x_t}), condition, layout), 2);
  return guide(halves[0], halves[1], t, kGuidance);
}

TEST(GuidedVelocity, ManyTokensOnACpuPassASampleAtATime) {
  const ModelConfig config = tiny_bundle_config().model;
  const auto samples = [&](int64_t side, at::Device device) {
    return samples_a_pass(config, side, side, 6, device);
  };
  EXPECT_EQ(samples(kSmall, at::kCPU), 6);
  EXPECT_EQ(samples(90, at::kCPU), 6);  // 2,025 tokens
  EXPECT_EQ(samples(kLarge, at::kCPU), 1);
  EXPECT_EQ(samples(kLarge, at::kCUDA), 6);
}

TEST(GuidedVelocity, PassesAndALateStartChangeNoBit) {
  const at::NoGradGuard no_grad;
  for (const Precision& precision : {Precision(at::kFloat), {at::kBFloat16}, {at::kFloat, true}}) {
    const DualStream backbone = busy_backbone(precision);
    for (const int64_t side : {kSmall, kLarge}) {
      const GuidedVelocity guided_velocity(backbone, two_captions(backbone), side, side, kGuidance,
                                           true);
      const at::Tensor x_t = two_latents(side);
      const at::Tensor early = guided_velocity(x_t, 0.25), late = guided_velocity(x_t, 0.75);
      EXPECT_TRUE(at::equal(early, in_one_pass(backbone, x_t, 0.25)))
          << precision.name() << ", side " << side;
      EXPECT_TRUE(at::equal(late, in_one_pass(backbone, x_t, 0.75)))
          << precision.name() << ", side " << side;
      EXPECT_GT((early - late).abs().max().item<double>(), 0.1);
    }
  }
}

TEST(GuidedVelocity, WithoutGuidanceItIsTheBackbones) {
  const at::NoGradGuard no_grad;
  const DualStream backbone = busy_backbone(at::kFloat);
  const Condition condition = narrow(two_captions(backbone), 1, 2);
  EXPECT_EQ(condition.text_offsets, (std::vector<int64_t>{0, 5, 8}));
  for (const int64_t side : {kSmall, kLarge}) {
    const at::Tensor x_t = two_latents(side);
    const Layout layout = make_layout(backbone, side, side, condition);
    const GuidedVelocity unguided(backbone, condition, side, side, kGuidance, false);
    EXPECT_TRUE(at::equal(unguided(x_t, 0.75), velocity(backbone, x_t, condition, layout)));
  }
}

TEST(GuidedVelocity, TheFirstStageNotFiniteIsFoundInEveryPass) {
  const at::NoGradGuard no_grad;
  const DualStream backbone = busy_backbone(at::kFloat);
  for (const int64_t side : {kSmall, kLarge}) {
    Condition condition = two_captions(backbone);
    const at::Tensor x_t = two_latents(side);
    const auto first = [&](const at::Tensor& x, double t) {
      return GuidedVelocity(backbone, condition, side, side, kGuidance, true)
          .first_not_finite(x, t);
    };
    EXPECT_FALSE(first(x_t, 0.75).is_found());
    at::Tensor second = x_t.clone();
    second[1][0][0][0] = INFINITY;
    EXPECT_EQ(first(second, 0.75).name, "patch_embed");
    condition.text_tokens = condition.text_tokens.clone();
    condition.text_tokens[-1].fill_(NAN);  // of the last sample, without its caption
    EXPECT_EQ(first(x_t, 0.75).name, "in_blocks.0.norm1");
    EXPECT_FALSE(first(x_t, 0.25).is_found());
  }
}

}  // namespace
}  // namespace i1
