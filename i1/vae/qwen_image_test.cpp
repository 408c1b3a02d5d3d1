// What goldens/vae/qwen_tiny does not show of the Qwen-Image autoencoder: sizes as published, which
// part of a tensor one frame uses, and what wrong files get.
#include "i1/vae/qwen_image.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "i1/core/testing.h"
#include "i1/io/safetensors.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGolden = "goldens/vae/qwen_tiny";
constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(QwenImage, FullSizeHasThePublishedTensors) {
  QwenImageAutoencoder vae = make_qwen_image({});
  int64_t num_tensors = 0, num_values = 0;
  for_each_tensor(vae, "", [&](const std::string&, at::Tensor& tensor) {
    ++num_tensors;
    num_values += tensor.numel();
  });
  EXPECT_EQ(num_tensors, 186);      // of 194, without four time_conv with weight and bias each
  EXPECT_EQ(num_values, 44599603);  // of 126892531
}

TEST(QwenImage, OneFrameMeetsTheLastTemporalTap) {
  const at::Tensor kernel = at::randn({4, 2, 3, 3, 3});
  EXPECT_TRUE(at::equal(one_frame_of("decoder.conv_in.weight", kernel), kernel.select(2, 2)));
  const at::Tensor point = at::randn({4, 2, 1, 1, 1});
  EXPECT_TRUE(at::equal(one_frame_of("quant_conv.weight", point), point.select(2, 0)));
  for (const at::Tensor& gamma : {at::randn({4, 1, 1, 1}), at::randn({4, 1, 1})})
    EXPECT_TRUE(at::equal(one_frame_of("norm1.gamma", gamma), gamma.flatten()));
  const at::Tensor flat = at::randn({4, 2, 3, 3});
  EXPECT_TRUE(at::equal(one_frame_of("resample.1.weight", flat), flat));
  EXPECT_FALSE(one_frame_of("a.time_conv.bias", at::randn({4})).defined());
}

TEST(QwenImage, AFolderEncodesToNormalisedLatents) {
  const Vae vae = Vae::load(kGolden);
  EXPECT_EQ(vae.name(), "Qwen-Image");
  EXPECT_EQ(vae.latent_channels(), 16);
  const TensorMap cases = read_safetensors(fs::path(kGolden) / "cases.safetensors").tensors;
  const auto frame = [&](const std::string& key) { return cases.at(key).squeeze(2); };
  const auto statistic = [&](const std::string& key) { return cases.at(key).view({1, 16, 1, 1}); };
  const auto normalised = [&](const at::Tensor& raw) {
    return (raw - statistic("latents_mean")) / statistic("latents_std");
  };
  constexpr double kTolerance = 1e-4;  // goldens/vae/README.md
  EXPECT_LE(largest_difference(vae.encode(frame("b.image")), normalised(frame("b.mean"))),
            kTolerance);
  EXPECT_LE(largest_difference(vae.encode(frame("b.image"), frame("b.noise")),
                               normalised(frame("b.sample"))),
            kTolerance);
  const at::Tensor pictures = vae.decode(normalised(frame("b.mean")));
  EXPECT_LE(largest_difference(pictures, frame("b.decode_mode")), kTolerance);
  EXPECT_EQ(pictures.abs().max().item<double>(), 1);  // clamped: 2.7 before
}

TEST(QwenImage, OddSizesOfLatentsAreFine) {
  const Vae vae = Vae::load(kGolden);
  const at::Tensor latents = vae.encode(at::rand({1, 3, 8, 24}) * 2 - 1);
  EXPECT_EQ(latents.sizes(), (at::IntArrayRef{1, 16, 1, 3}));
  EXPECT_EQ(vae.decode(latents).sizes(), (at::IntArrayRef{1, 3, 8, 24}));
  expect_error("images are [1, 3, 8, 12]; expected height and width to be multiples of 8", [&] {
    vae.encode(at::zeros({1, 3, 8, 12}));
  });
}

TEST(QwenImage, WrongFilesAreRefusedInOneLine) {
  const fs::path folder = fresh_folder("qwen_image");
  const nlohmann::json config = nlohmann::json::parse(read_file(fs::path(kGolden) / "config.json"));
  const auto refuses = [&](const char* key, const nlohmann::json& value,
                           const std::string& expected) {
    nlohmann::json changed = config;
    changed[key] = value;
    write_file_atomically(folder / "config.json", changed.dump());
    expect_error(expected, [&] { Vae::load(folder); });
  };
  refuses("dim_mult", {1, 2}, "dim_mult has 2 entries, expected 4");
  refuses("dim_mult", {0, 2, 4, 4}, "an entry of dim_mult is 0, expected 1 to 8192");
  refuses("base_dim", 5, "a level is 5 wide; expected an even number");
  refuses("attn_scales", {0.5}, "attn_scales is not empty");
  refuses("input_channels", 4, "input_channels is 4, expected 3");
  refuses("latents_mean", {1, 2}, "latents_mean has 2 entries, expected z_dim = 16");
  refuses("latents_std", std::vector<double>(16, 0), "latents_std has the entry 0");
  refuses("z_dim", "many", "field \"z_dim\" cannot be \"many\"");

  write_file_atomically(folder / "config.json", config.dump());
  TensorMap tensors = read_safetensors(fs::path(kGolden) / kWeights).tensors;
  const at::Tensor kernel = tensors.at("decoder.conv_in.weight");
  tensors["decoder.conv_in.weight"] = kernel.narrow(2, 0, 2);
  write_safetensors(folder / kWeights, tensors);
  expect_error(
      "tensor \"decoder.conv_in.weight\" has shape [24, 16, 2, 3], expected [24, 16, 3, 3]",
      [&] { Vae::load(folder); });
  tensors.erase("decoder.conv_in.weight");
  write_safetensors(folder / kWeights, tensors);
  expect_error("no tensor \"decoder.conv_in.weight\"; nearest: ", [&] { Vae::load(folder); });
}

}  // namespace
}  // namespace i1
