// Backbones on their way from each format to each other.
#include "i1/model/convert.h"

#include <limits>

#include "i1/io/gguf.h"
#include "i1/io/zip_testing.h"
#include "i1/model/convert_check.h"
#include "i1/model/model_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
namespace fs = std::filesystem;

// Rows of all matrices but the patches' are multiples of 32.
ModelConfig wide_config() {
  ModelConfig config = tiny_config();
  config.hidden_size = 64;
  config.mlp_ratio = 3;
  config.text_width = 32;
  return config;
}

fs::path save(const fs::path& folder, const TensorMap& tensors) {
  write_safetensors(folder / "source.safetensors", tensors);
  return folder / "source.safetensors";
}

fs::path save(const fs::path& folder, const ModelConfig& config) {
  DualStream model = random_model(config);
  return save(folder, to_tensor_map(model));
}

fs::path convert(const fs::path& source, const fs::path& target, const std::string& dtype,
                 int64_t max_shard_bytes = 0) {
  write_converted(
      plan_convert(open_backbone(source), source, target, {dtype, "", max_shard_bytes}));
  return target;
}

// Largest relative error of a weight, and that of the velocity.
std::pair<double, double> errors_of(const fs::path& source, const fs::path& target) {
  const OpenBackbone first = open_backbone(source), second = open_backbone(target);
  const auto forward = compare_forward(first, second);
  return {compare_weights(first, second).at(0).relative, forward ? forward->relative : -1};
}

TEST(Convert, LosslessFormsGiveBackEveryBit) {
  const fs::path folder = fresh_folder("lossless"), source = save(folder, wide_config());
  const fs::path shards = convert(source, folder / "shards", "float32", 100'000);
  const fs::path gguf = convert(shards, folder / "a.gguf", "float32");
  const fs::path back = convert(gguf, folder / "back.safetensors", "");
  EXPECT_TRUE(fs::exists(shards / "model.safetensors.index.json"));
  const TensorMap expected = read_safetensors(source).tensors;
  const TensorMap found = read_safetensors(back).tensors;
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [key, tensor] : expected) EXPECT_TRUE(at::equal(found.at(key), tensor)) << key;
  EXPECT_EQ(errors_of(source, back), std::pair(0.0, 0.0));
  EXPECT_EQ(open_backbone(gguf).config, open_backbone(source).config);
}

TEST(Convert, BFloat16KeepsNormsAndTablesInFloat32AndIsItsOwnSource) {
  const fs::path folder = fresh_folder("bfloat16"), source = save(folder, wide_config());
  const fs::path half = convert(source, folder / "half.gguf", "bfloat16");
  const OpenBackbone found = open_backbone(half);
  for (const auto& [key, tensor] : found.tensors) {
    const bool is_kept = stays_float32(key) || is_frozen(key);
    EXPECT_EQ(tensor.info.dtype, is_kept ? at::kFloat : at::kBFloat16) << key;
  }
  EXPECT_LE(errors_of(source, half).first, 1.0 / 256);  // half a step of 8 bits
  const fs::path again = convert(half, folder / "again.safetensors", "");
  EXPECT_EQ(errors_of(half, again).first, 0);
  EXPECT_EQ(open_backbone(again).tensors.at("final_layer.linear.bias").info.dtype, at::kBFloat16);
}

TEST(Convert, FewerBitsCostWhatTheyShould) {
  const fs::path folder = fresh_folder("bits"), source = save(folder, wide_config());
  // Relative error of a uniform rounding: step / sqrt(12) over the rms; steps are 1/127 and 1/8 of
  // the largest of a row or block, itself 2 to 4 times the rms.
  for (const auto& [dtype, name, weight_error, forward_error] :
       {std::tuple("int8", "int8.safetensors", 0.012, 0.02),
        {"q8_0", "q8.gguf", 0.012, 0.02},
        {"q4_0", "q4.gguf", 0.12, 0.3}}) {
    const fs::path target = convert(source, folder / name, dtype);
    const auto [weights, forward] = errors_of(source, target);
    EXPECT_LT(weights, weight_error) << dtype;
    EXPECT_GT(weights, weight_error / 20) << dtype;
    EXPECT_LT(forward, forward_error) << dtype;
    EXPECT_GT(forward, 0) << dtype;
  }
  EXPECT_EQ(open_weights(folder / "int8.safetensors")
                .tensors.at("mid_block.mlp_text.w3.weight")
                .info.dtype,
            at::kChar);
  const WeightsFile blocks = open_weights(folder / "q4.gguf");
  EXPECT_EQ(blocks.tensors.at("mid_block.mlp_text.w3.weight").encoding, "Q4_0");
  EXPECT_EQ(blocks.tensors.at("mid_block.norm1.scale").info.dtype, at::kFloat);
  EXPECT_EQ(blocks.tensors.at("mid_block.mlp_text.w3.bias").info.dtype, at::kFloat);
  // Rows of two values cannot be blocks.
  EXPECT_EQ(blocks.tensors.at("x_embedder.proj.weight").info.dtype, at::kBFloat16);
  EXPECT_EQ(blocks.values["general.file_type"], 2);
}

TEST(Convert, EveryCheckpointFormIsASource) {
  const fs::path goldens = "goldens/dit", folder = fresh_folder("forms");
  const fs::path full = goldens / "checkpoint_tiny.pt", lean = goldens / "checkpoint_tiny_lean.pt";
  const fs::path from_full = convert(full, folder / "full.safetensors", "");
  EXPECT_EQ(errors_of(lean, from_full), std::pair(0.0, 0.0));
  EXPECT_EQ(open_backbone(from_full).config, open_backbone(full).config);
  const OpenBackbone raw = open_backbone(full, WeightsSide::kRaw);
  write_converted(plan_convert(raw, full, folder / "raw.safetensors", {}));
  EXPECT_GT(errors_of(full, folder / "raw.safetensors").first, 0);
}

// "in_blocks.1.attn.proj_text.weight" -> "blocks_1/attn/proj_text/kernel"
std::string jax_name(std::string key) {
  const std::pair<const char*, const char*> blocks[] = {{"in_blocks.0", "blocks_0"},
                                                        {"in_blocks.1", "blocks_1"},
                                                        {"mid_block", "blocks_2"},
                                                        {"out_blocks.0", "blocks_3"},
                                                        {"out_blocks.1", "blocks_4"}};
  for (const auto& [torch, jax] : blocks)
    if (key.starts_with(torch)) key.replace(0, std::string(torch).size(), jax);
  if (key.ends_with(".weight")) key.replace(key.size() - 6, 6, "kernel");
  std::replace(key.begin(), key.end(), '.', '/');
  return key;
}

TEST(Convert, AJaxCheckpointIsRenamedTransposedAndGivenItsTables) {
  const fs::path folder = fresh_folder("jax"), jax = folder / "checkpoint.npz-000000012";
  DualStream model = random_model(wide_config());
  const TensorMap expected = to_tensor_map(model);
  std::vector<ZipMember> members;
  for (const auto& [key, tensor] : expected) {
    if (key.starts_with("rope_embedder.")) continue;
    at::Tensor values = tensor;
    if (key.ends_with(".weight"))
      values = tensor.dim() == 4 ? tensor.permute({2, 3, 1, 0}) : tensor.t();
    values = values.contiguous();
    std::string shape = "(";
    for (const int64_t size : values.sizes()) shape += std::to_string(size) + ", ";
    const std::string bytes(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
    members.push_back(
        {"params_ema/" + jax_name(key) + ".npy", make_npy("<f4", shape + ")", bytes)});
  }
  members.push_back({"opt/1/0/0.npy", "not read"});
  write_file_atomically(jax, make_zip(members));
  for (const char* name : {"target.gguf", "target.safetensors"}) {
    const TensorMap found = read_all(open_weights(convert(jax, folder / name, "float32")).tensors);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [key, tensor] : expected) EXPECT_TRUE(at::equal(found.at(key), tensor)) << key;
  }
}

TEST(Convert, FoldersOfOtherProgramsAreRecognised) {
  const fs::path folder = fresh_folder("others");
  DualStream model = random_model(wide_config());
  TensorMap rounded, prefixed;
  for (const auto& [key, tensor] : to_tensor_map(model)) {
    rounded[key] = tensor.to(at::kBFloat16);  // tables too
    prefixed["model.diffusion_model." + key] = tensor;
  }
  fs::create_directories(folder / "pipeline/transformer");
  write_sharded_safetensors(folder / "pipeline/transformer", "diffusion_pytorch_model", rounded,
                            100'000, {{"format", "pt"}});
  write_file_atomically(
      folder / "pipeline/transformer/config.json",
      R"({"_class_name": "ZlabI1Transformer2DModel", "input_size": 8, "image_resolution": 512,
          "in_channels": 3, "hidden_size": 64, "depth": 5, "num_heads": 2, "mlp_ratio": 3.0})");
  const OpenBackbone pipeline = open_backbone(folder / "pipeline");
  EXPECT_EQ(pipeline.config.resolution, 512);
  EXPECT_EQ(pipeline.config.mlp_ratio, 3);
  EXPECT_EQ(with_tables(pipeline).at("rope_embedder.cos_tables.0").info.dtype, at::kFloat);
  const fs::path target = convert(folder / "pipeline", folder / "out.gguf", "bfloat16");
  EXPECT_EQ(open_backbone(target).config, pipeline.config);
  fs::create_directories(folder / "one");
  write_safetensors(folder / "one/any_name.safetensors", prefixed);
  const fs::path source = save(folder, to_tensor_map(model));
  EXPECT_EQ(errors_of(source, folder / "one"), std::pair(0.0, 0.0));
}

TEST(Convert, ARoundedPositionTableStillTellsTheResolution) {
  for (const int64_t resolution : {256, 512, 1024}) {
    ModelConfig config = tiny_config();
    config.depth = 1;
    config.resolution = resolution;
    DualStream model = random_model(config, at::kBFloat16);
    const fs::path source = save(fresh_folder("rounded"), to_tensor_map(model));
    EXPECT_EQ(open_backbone(source).config.resolution, resolution);
  }
}

TEST(Convert, MistakesAreNamedBeforeAnythingIsWritten) {
  const fs::path folder = fresh_folder("mistakes"), source = save(folder, tiny_config());
  const OpenBackbone backbone = open_backbone(source);
  const auto refuses = [&](const std::string& expected, const std::string& target,
                           const ConvertOptions& options) {
    SCOPED_TRACE(expected);
    const bool was_there = fs::exists(folder / target);
    expect_error(expected, [&] { plan_convert(backbone, source, folder / target, options); });
    EXPECT_EQ(fs::exists(folder / target), was_there);
  };
  refuses("--dtype int9: expected float32", "a.safetensors", {.dtype = "int9"});
  refuses("--format npz: expected safetensors or gguf", "a.safetensors", {.format = "npz"});
  refuses("--dtype q8_0 is stored in GGUF only", "a.safetensors", {.dtype = "q8_0"});
  refuses("--dtype int8 is stored in safetensors only", "a.gguf", {.dtype = "int8"});
  refuses("--format gguf, but the name ends in .safetensors", "a.safetensors", {.format = "gguf"});
  refuses("--format safetensors, but the name ends in .gguf", "a.gguf", {.format = "safetensors"});
  refuses("--max-shard-size splits a folder", "a.gguf", {.max_shard_bytes = 100});
  refuses("is the source", "source.safetensors", {});
  refuses("is the source", "../mistakes/source.safetensors", {});
  refuses("holds the source", "", {});
  refuses("lies in the source", "source.safetensors/a.gguf", {});
  write_file_atomically(folder / "letter.gguf", "words");
  refuses("holds no backbone, so it is not replaced", "letter.gguf", {});
  write_safetensors(folder / "other.safetensors", {{"w", at::ones({1})}});
  refuses("holds no backbone, so it is not replaced", "other.safetensors", {});
  fs::create_directories(folder / "full");
  write_file_atomically(folder / "full/letter", "words");
  refuses("holds letter, which is not of such weights", "full", {});
  refuses("is a file, expected a folder", "full/letter", {});
  fs::create_directories(folder / "a.gguf");
  refuses("is a folder, expected a file", "a.gguf", {});
}

TEST(Convert, WhatIsNoWholeModelIsNamed) {
  const fs::path folder = fresh_folder("whole");
  DualStream model = random_model(tiny_config());
  const TensorMap whole = to_tensor_map(model);
  const auto refuses = [&](const std::string& expected, const TensorMap& tensors) {
    SCOPED_TRACE(expected);
    const fs::path source = save(folder, tensors);
    expect_error(expected, [&] { convert(source, folder / "target.safetensors", "float32"); });
    EXPECT_FALSE(fs::exists(folder / "target.safetensors"));
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);  // nothing half-written
  };
  refuses("no EMA weights of an i1 backbone", {{"w", at::ones({1})}});
  TensorMap tensors = whole;
  tensors.erase("in_blocks.1.norm1.scale");
  refuses("no tensor \"in_blocks.1.norm1.scale\"", tensors);
  tensors = whole;
  tensors["in_blocks.1.norm1.scale"] = at::ones({24}, at::kInt);
  refuses("is Int, expected floating-point", tensors);
  for (const auto& [value, expected] :
       {std::pair(std::numeric_limits<float>::quiet_NaN(), "holds a value that is not a number"),
        {-std::numeric_limits<float>::infinity(), "holds an infinite value"}}) {
    tensors = whole;
    tensors["out_blocks.0.mlp_image.w3.bias"] = at::full({24}, value);
    refuses(concat("tensor \"out_blocks.0.mlp_image.w3.bias\" ", expected), tensors);
  }
}

TEST(Convert, ValuesThatATypeCannotHoldAreNamed) {
  const fs::path folder = fresh_folder("large");
  DualStream model = random_model(wide_config());
  TensorMap tensors = to_tensor_map(model);
  at::Tensor weight = tensors.at("mid_block.attn.qkv_image.weight").clone();
  weight[0][0] = 1e6;
  tensors["mid_block.attn.qkv_image.weight"] = weight;
  const fs::path source = save(folder, tensors);
  expect_error("mid_block.attn.qkv_image.weight\" holds 1e+06, expected at most 524032",
               [&] { convert(source, folder / "a.gguf", "q4_0"); });
  EXPECT_FALSE(fs::exists(folder / "a.gguf"));
  convert(source, folder / "a.gguf", "q8_0");
}

TEST(Convert, MemoryOfAMappedSourceIsGivenBackAndReadAgain) {
  const fs::path folder = fresh_folder("pages"), source = save(folder, tiny_config());
  const OpenBackbone backbone = open_backbone(source);
  const at::Tensor view = backbone.tensors.at("pos_embed").read(), copy = view.clone();
  MappedFile::forget_pages();
  EXPECT_TRUE(at::equal(view, copy));
}

}  // namespace
}  // namespace i1
