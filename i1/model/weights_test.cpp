// Configs, initial values, and weights on their way to files and back.

#include <filesystem>
#include <limits>

#include "i1/core/config.h"
#include "i1/model/infer_config.h"
#include "i1/model/model_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
namespace fs = std::filesystem;

// Configs.

TEST(ModelConfig, SizesThatNoModelCanHaveAreNamed) {
  const auto refuses = [](const std::string& expected, auto&& change) {
    ModelConfig config = tiny_config();
    change(config);
    expect_error("here: " + expected, [&] { check_model_config(config, "here"); });
  };
  check_model_config(tiny_config(), "here");
  refuses("hidden_size is 0", [](ModelConfig& c) { c.hidden_size = 0; });
  refuses("depth is -1", [](ModelConfig& c) { c.depth = -1; });
  refuses("num_text_tokens is 2000000", [](ModelConfig& c) { c.num_text_tokens = 2000000; });
  refuses("num_adapter_blocks is 0", [](ModelConfig& c) { c.num_adapter_blocks = 0; });
  refuses("hidden_size 24 is not a multiple of num_heads 5",
          [](ModelConfig& c) { c.num_heads = 5; });
  refuses("hidden_size 18 is not a multiple of 4", [](ModelConfig& c) { c.hidden_size = 18; });
  refuses("latent_size 9 is not a multiple of patch_size 2",
          [](ModelConfig& c) { c.latent_size = 9; });
  refuses("mlp_ratio is -2", [](ModelConfig& c) { c.mlp_ratio = -2; });
  refuses("head_dim 3 must be even", [](ModelConfig& c) { c.num_heads = 8; });
  refuses("each RoPE axis", [](ModelConfig& c) { c.rope_axes_dims = {7, 3, 2}; });
  refuses("rope_axes_dims sum to 14", [](ModelConfig& c) { c.rope_axes_dims = {6, 4, 4}; });
  refuses("rope_axes_lens holds 0", [](ModelConfig& c) { c.rope_axes_lens = {7, 0, 4}; });
  ModelConfig config = tiny_config();
  config.depth = 0;
  expect_error("depth is 0", [&] { make_dual_stream(config); });
}

TEST(ModelConfig, SizesFollowTheRulesOfThePaper) {
  EXPECT_EQ(default_rope_dims(72), (std::array<int64_t, 3>{36, 18, 18}));
  EXPECT_EQ(default_rope_dims(20), (std::array<int64_t, 3>{10, 4, 6}));
  ModelConfig config = preset_i1_3b(1024);
  check_model_config(config, "i1-3B");
  EXPECT_EQ(config.head_dim(), 72);
  EXPECT_EQ(config.latent_size, 128);
  EXPECT_EQ(config.grid_size(), 64);
  EXPECT_EQ(config.position_scale(), 0.25);
  EXPECT_EQ(config.ffn_size(), 5376);  // 2/3 of 4 * 2016
  config.hidden_size = 40;             // both roundings are downwards
  config.mlp_ratio = 1.62;
  EXPECT_EQ(config.ffn_size(), 42);
  config.use_swiglu = false;
  EXPECT_EQ(config.ffn_size(), 64);
}

// Initial values.

ModelConfig wide_config() {
  ModelConfig config = tiny_config();
  config.hidden_size = 96;
  config.text_width = 144;
  config.num_text_tokens = 32;
  return config;
}

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

// What a kind of values should look like.
struct Distribution {
  double std, kurtosis, bound;
};

Distribution expected_distribution(const std::string& key, const at::Tensor& tensor) {
  const double out = static_cast<double>(tensor.size(0));
  const double in = static_cast<double>(tensor.numel()) / out;
  if (key.find("null_caption") != std::string::npos)
    return {1 / std::sqrt(static_cast<double>(tensor.size(2))), 3, kUnbounded};
  if (key.find("connector_in") != std::string::npos || key.find("skip_linear") != std::string::npos)
    return {std::sqrt(2 / (in + out)), 1.8, std::sqrt(6 / (in + out))};
  // Of a normal cut at two sigmas: std 0.87962566 sigma, kurtosis 2.3654.
  return {std::sqrt(1 / in), 2.3654, 2 / 0.87962566 * std::sqrt(1 / in)};
}

TEST(Initialisation, HasTheStatisticsOfTheReference) {
  DualStream model = make_dual_stream(wide_config());
  const at::Tensor table = model.pos_embed.clone();
  initialize(model, RandomStream{7});
  EXPECT_TRUE(at::equal(model.pos_embed, table));
  int64_t num_random = 0;
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (is_frozen(key)) return;
    ASSERT_EQ(tensor.scalar_type(), at::kFloat) << key;
    if (key.ends_with("bias")) {
      EXPECT_TRUE(at::equal(tensor, at::zeros_like(tensor))) << key;
    } else if (key.ends_with("scale")) {
      EXPECT_TRUE(at::equal(tensor, at::ones_like(tensor))) << key;
    } else {
      ++num_random;
      const Distribution expected = expected_distribution(key, tensor);
      const double n = static_cast<double>(tensor.numel());
      // Five standard errors: one false alarm in a million tensors.
      EXPECT_NEAR(tensor.mean().item<double>(), 0, 5 * expected.std / std::sqrt(n)) << key;
      EXPECT_NEAR(tensor.std().item<double>() / expected.std, 1,
                  5 * std::sqrt((expected.kurtosis - 1) / (4 * n)))
          << key;
      // Cut values reach their edge and do not pass it (float32 rounds it), normal ones are not
      // cut.
      const double largest = tensor.abs().max().item<double>();
      EXPECT_LE(largest, expected.bound * (1 + 1e-6)) << key;
      EXPECT_GT(largest, std::min(0.95 * expected.bound, 3 * expected.std)) << key;
    }
  });
  // Patches, times (2), null caption, adapter (1 + 2 * 4), blocks (5 * 8 + 2 * 2), final linear.
  EXPECT_EQ(num_random, 1 + 2 + 1 + 9 + 44 + 1);
}

TEST(Initialisation, IsTheSameForTheSameSeedAndDiffersBetweenTensors) {
  const auto make = [](uint64_t seed) {
    DualStream model = make_dual_stream(tiny_config());
    initialize(model, RandomStream{seed});
    return to_tensor_map(model);
  };
  const TensorMap first = make(1), again = make(1), other = make(2);
  for (const auto& [key, tensor] : first) EXPECT_TRUE(at::equal(tensor, again.at(key))) << key;
  const std::string key = "in_blocks.0.attn.qkv_image.weight";
  EXPECT_FALSE(at::equal(first.at(key), other.at(key)));
  EXPECT_FALSE(at::equal(first.at(key), first.at("in_blocks.1.attn.qkv_image.weight")));
  EXPECT_FALSE(at::equal(first.at(key), first.at("in_blocks.0.attn.qkv_text.weight")));
}

// Files.

TEST(Weights, SavedAndLoadedByKeyAreEqual) {
  DualStream model = random_model(tiny_config());
  const TensorMap saved = to_tensor_map(model);
  EXPECT_TRUE(saved.contains("text_encoder_adapter.connector_attn2.q_norm.scale"));
  EXPECT_TRUE(saved.contains("out_blocks.1.skip_linear_text.bias"));
  EXPECT_TRUE(saved.contains("rope_embedder.cos_tables.0"));
  const fs::path file = fresh_folder("weights") / "saved.safetensors";
  write_safetensors(file, saved);
  DualStream loaded = load_dual_stream(model.config, read_safetensors(file).tensors, file.string());
  const TensorMap found = to_tensor_map(loaded);
  ASSERT_EQ(found.size(), saved.size());
  for (const auto& [key, tensor] : saved) EXPECT_TRUE(at::equal(tensor, found.at(key))) << key;
}

TEST(Weights, TheConfigShowsInKeysAndShapes) {
  ModelConfig config = tiny_config();
  for (const bool is_final_recipe : {true, false}) {
    if (!is_final_recipe) {
      config.use_long_skip = config.use_sandwich_norm = config.use_swiglu = false;
      config.use_rms_norm = false;
      config.use_separate_norms = config.use_separate_qk_norms = true;
      config.num_adapter_blocks = 3;
      config.depth = 4;
      config.resolution = 512;
    }
    DualStream model = random_model(config);
    const fs::path file = fresh_folder("weights") / "inferred.safetensors";
    write_safetensors(file, to_tensor_map(model));
    const StoredBackbone stored = read_backbone(file);
    ModelConfig expected = config;
    expected.mlp_ratio = stored.config.mlp_ratio;  // any that gives the width
    EXPECT_EQ(stored.config.ffn_size(), config.ffn_size());
    EXPECT_EQ(to_json(stored.config), to_json(expected));
  }
}

TEST(Weights, TheResolutionShowsInThePositionTable) {
  for (const auto& [latent_size, resolution] :
       {std::pair{8, 64}, {16, 128}, {16, 256}, {8, 512}, {8, 1024}}) {
    ModelConfig config = tiny_config();
    config.depth = 1;
    config.latent_size = latent_size;
    config.resolution = resolution;
    DualStream model = random_model(config);
    const fs::path file = fresh_folder("weights") / "table.safetensors";
    write_safetensors(file, to_tensor_map(model));
    EXPECT_EQ(read_backbone(file).config.resolution, resolution);
  }
}

TEST(Weights, TablesFollowTheResolutionAndTimesMayBeAbsent) {
  DualStream model = random_model(tiny_config());
  StoredBackbone stored{model.config, to_tensor_map(model)};
  std::erase_if(stored.tensors,
                [](const auto& item) { return item.first.starts_with("t_embedder."); });
  const StoredBackbone larger = at_resolution(stored, 128, 16);
  const DualStream loaded = load_dual_stream(larger.config, larger.tensors, "here");
  EXPECT_FALSE(loaded.t_embedder);
  EXPECT_TRUE(at::equal(loaded.pos_embed, make_pos_embed(24, 8, 8, 2)));
  EXPECT_TRUE(at::equal(loaded.final_linear.weight, model.final_linear.weight));
}

TEST(Weights, WhatNoPictureDependsOnMayBeAbsentButNotInPart) {
  DualStream model = random_model(tiny_config());
  TensorMap tensors = to_tensor_map(model);
  std::erase_if(tensors, [&](const auto& item) { return is_unused(item.first, model.config); });
  EXPECT_FALSE(tensors.contains("out_blocks.1.mlp_text.w3.bias"));
  const DualStream loaded = load_dual_stream(model.config, tensors, "here");
  EXPECT_FALSE(loaded.t_embedder);
  const at::Tensor x = at::randn({1, 3, 8, 8});
  const PaddedCaptions captions = random_captions(model.config, {4});
  EXPECT_TRUE(at::equal(velocity_of(model, x, condition_of(model, captions)),
                        velocity_of(loaded, x, condition_of(loaded, captions))));
  tensors["out_blocks.1.mlp_text.w3.bias"] = at::zeros({24});
  expect_error("here: no tensor \"out_blocks.1.attn.proj_text.weight\"",
               [&] { load_dual_stream(model.config, tensors, "here"); });
}

TEST(Weights, MistakesNameTheKeyAndTheNearest) {
  DualStream model = random_model(tiny_config());
  const TensorMap whole = to_tensor_map(model);
  const auto load = [&](const TensorMap& tensors) {
    return [&model, tensors] { load_dual_stream(model.config, tensors, "here"); };
  };
  TensorMap tensors = whole;
  tensors.erase("mid_block.mlp_text.w3.bias");
  expect_error(
      "here: no tensor \"mid_block.mlp_text.w3.bias\"; nearest: \"mid_block.mlp_text.w12.bias\"",
      load(tensors));
  tensors = whole;
  tensors["mid_block.norm5.scale"] = at::ones({24});
  expect_error(
      "here: unexpected tensor \"mid_block.norm5.scale\"; nearest: \"mid_block.norm1.scale\"",
      load(tensors));
  tensors = whole;
  tensors["final_layer.linear.bias"] = at::ones({11});
  expect_error("here: tensor \"final_layer.linear.bias\" has shape [11], expected [12]",
               load(tensors));
  expect_error("here: no tensor \"x_embedder.proj.weight\"", [] {
    ModelConfig config;
    infer_switches(config, as_stored({{"weight", at::ones({1})}}), "here");
  });
}

TEST(Weights, ComputeCopiesKeepNormsAndRopeInFloat32) {
  const DualStream copy = compute_copy(random_model(tiny_config()), at::kBFloat16, at::kCPU);
  EXPECT_EQ(copy.norm_final.scale.scalar_type(), at::kFloat);
  EXPECT_EQ(copy.mid_block->attn.q_norm->scale.scalar_type(), at::kFloat);
  EXPECT_EQ(copy.rope_embedder.cos_tables[0].scalar_type(), at::kFloat);
  EXPECT_EQ(copy.final_linear.weight.scalar_type(), at::kBFloat16);
  EXPECT_EQ(copy.pos_embed.scalar_type(), at::kBFloat16);
}

}  // namespace
}  // namespace i1
