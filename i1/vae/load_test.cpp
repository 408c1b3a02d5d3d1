// FLUX autoencoders as one file, under the names of their authors' code.
#include "i1/vae/load.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "i1/core/testing.h"
#include "i1/io/safetensors.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// The authors' name of one of our fields.
std::string original_name(std::string name) {
  const auto replace = [&](const char* pattern, const char* by) {
    name = std::regex_replace(name, std::regex(pattern), by);
  };
  for (int level = 0; level < 4; ++level) {
    replace(concat("^decoder\\.up_blocks\\.", level, "\\.").c_str(),
            concat("decoder.up.", 3 - level, ".").c_str());
  }
  replace("^encoder\\.down_blocks", "encoder.down");
  replace("mid_block\\.resnets\\.0", "mid.block_1");
  replace("mid_block\\.resnets\\.1", "mid.block_2");
  replace("mid_block\\.attentions\\.0", "mid.attn_1");
  replace("resnets\\.", "block.");
  replace("(up|down)samplers\\.0", "$1sample");
  replace("conv_shortcut", "nin_shortcut");
  replace("conv_norm_out", "norm_out");
  replace("group_norm", "norm");
  replace("to_(q|k|v)", "$1");
  replace("to_out\\.0", "proj_out");
  replace("^quant_conv", "encoder.quant_conv");
  replace("^post_quant_conv", "decoder.post_quant_conv");
  return name;
}

// A network's tensors as its authors store them.
TensorMap original_tensors(Autoencoder& vae) {
  TensorMap tensors;
  for_each_tensor(vae, "", [&](const std::string& name, at::Tensor& tensor) {
    const std::string original = original_name(name);
    const bool is_1x1 = tensor.dim() == 2 && original.find(".attn_1.") != std::string::npos;
    tensors[original] = is_1x1 ? tensor.unsqueeze(2).unsqueeze(3) : tensor;
  });
  return tensors;
}

Autoencoder random_flux2() {
  at::manual_seed(0);
  AutoencoderConfig config;
  config.block_out_channels = {32, 32, 64, 64};
  Autoencoder vae = make_autoencoder(config);
  for_each_tensor(vae, "", [](const std::string&, at::Tensor& tensor) {
    const auto fan_in = static_cast<double>(tensor.numel() / tensor.size(0));
    tensor = at::randn(tensor.sizes()) / std::sqrt(fan_in);
  });
  return vae;
}

TEST(FluxFile, EveryFieldHasItsName) {
  AutoencoderConfig config;
  config.block_out_channels = {32, 64, 96, 128};  // every first block changes the width
  Autoencoder vae = make_autoencoder(config);
  for_each_tensor(vae, "", [&](const std::string& name, at::Tensor&) {
    EXPECT_EQ(flux_field_name(original_name(name)), name);
    EXPECT_EQ(flux_field_name(name), name);
  });
  EXPECT_EQ(original_name("decoder.up_blocks.2.resnets.0.conv_shortcut.bias"),
            "decoder.up.1.block.0.nin_shortcut.bias");
  EXPECT_EQ(flux_field_name("decoder.up.3.upsample.conv.weight"),
            "decoder.up_blocks.0.upsamplers.0.conv.weight");
  EXPECT_EQ(flux_field_name("encoder.mid.attn_1.q.weight"),
            "encoder.mid_block.attentions.0.to_q.weight");
}

TEST(FluxFile, OtherNamesStay) {
  for (const char* name : {"", ".", "decoder", "encoder.down.", "encoder.down.x.block.0.a",
                           "encoder.down.99999999999999999999.block.0.a", "decoder.up.1", "bn.x"})
    EXPECT_EQ(flux_field_name(name), name);
}

TEST(FluxFile, TheGoldenUnderItsAuthorsNamesIsTheSameNetwork) {
  Autoencoder folder = load_autoencoder("goldens/vae/flux1_tiny");
  const fs::path path = fresh_folder("flux_file") / "ae.safetensors";
  write_safetensors(path, original_tensors(folder));
  const Autoencoder file = load_flux_file(path, /*norm_num_groups=*/4);
  EXPECT_EQ(to_json(file.config), to_json(folder.config));
  const TensorMap cases = read_safetensors("goldens/vae/flux1_tiny/cases.safetensors").tensors;
  const at::Tensor &image = cases.at("b.image"), &latents = cases.at("b.mean");
  EXPECT_TRUE(at::equal(encode(file, image).mean, encode(folder, image).mean));
  EXPECT_TRUE(at::equal(decode(file, latents), decode(folder, latents)));
}

TEST(FluxFile, ItIsRecognisedByItsNames) {
  Autoencoder vae = random_flux2();
  const fs::path folder = fresh_folder("flux_file");
  TensorMap original = original_tensors(vae), published;
  original["bn.running_mean"] = at::zeros({128});  // left out: the statistics are built in
  for_each_tensor(vae, "", [&](const std::string& name, at::Tensor& t) { published[name] = t; });
  write_safetensors(folder / "ae.safetensors", original);
  write_safetensors(folder / "diffusion_pytorch_model.safetensors", published);
  write_file_atomically(folder / "config.json",
                        "{\"_class_name\": \"AutoencoderKLFlux2\", "
                        "\"block_out_channels\": [32, 32, 64, 64]}");
  const Vae expected = Vae::load(folder);
  const at::Tensor latents = at::randn({1, 32, 2, 4});
  for (const char* name : {"ae.safetensors", "diffusion_pytorch_model.safetensors"}) {
    const Vae found = Vae::load(folder / name);
    EXPECT_EQ(found.name(), "FLUX.2");
    EXPECT_TRUE(at::equal(found.decode(latents), expected.decode(latents))) << name;
  }
}

TEST(FluxFile, WhatIsMissingOrTooMuchIsNamed) {
  Autoencoder vae = random_flux2();
  const TensorMap whole = original_tensors(vae);
  const fs::path path = fresh_folder("flux_file") / "ae.safetensors";
  const auto refuses = [&](const TensorMap& tensors, const std::string& expected) {
    write_safetensors(path, tensors);
    expect_error(path.string(), [&] { Vae::load(path); });
    expect_error(expected, [&] { Vae::load(path); });
  };
  const auto without = [&](const std::string& name) {
    TensorMap tensors = whole;
    tensors.erase(name);
    return tensors;
  };
  refuses(without("encoder.down.2.block.0.conv1.weight"),
          "no tensor \"encoder.down_blocks.2.resnets.0.conv1.weight\"");
  refuses(without("decoder.mid.attn_1.k.bias"),
          "no tensor \"decoder.mid_block.attentions.0.to_k.bias\"; nearest: ");
  TensorMap tensors = whole;
  tensors["decoder.up.3.extra"] = at::zeros({1});
  refuses(tensors, "unexpected tensor \"decoder.up_blocks.0.extra\"");
  tensors = whole;
  tensors["decoder.conv_out.weight"] = at::zeros({3});
  refuses(tensors, "tensor \"decoder.conv_out.weight\" has shape [3], expected a convolution's");
  Autoencoder narrow = load_autoencoder("goldens/vae/flux1_tiny");
  refuses(original_tensors(narrow), "block_out_channels 8 is not a multiple of norm_num_groups 32");
}

}  // namespace
}  // namespace i1
