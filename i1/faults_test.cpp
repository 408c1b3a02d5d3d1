// Weights that are no numbers, and values that stop being finite.
#include "i1/faults.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "i1/core/mappings.h"
#include "i1/pipeline.h"
#include "i1/pipeline_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

Request request_of(const Pipeline& pipeline, const std::string& prompt) {
  Request request;
  request.prompt = prompt;
  request.guidance_scale = 3;
  return pipeline.complete(request);
}

// The whole line that a picture of `bundle` ends with.
std::string fault_of(const Bundle& bundle, const std::vector<std::string>& prompts = {"a bar"},
                     Precision precision = at::kFloat) {
  const Pipeline pipeline(bundle, at::kCPU, precision);
  std::vector<Request> requests;
  for (const std::string& prompt : prompts) {
    requests.push_back(request_of(pipeline, prompt));
    requests.back().prompt_index = static_cast<int64_t>(requests.size()) - 1;
    requests.back().image_index = 7;
  }
  try {
    pipeline.generate(requests, static_cast<int64_t>(requests.size()),
                      [](size_t, const Image&) { ADD_FAILURE() << "a picture"; });
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

// A bundle of its own, one tensor of whose backbone has a value that is not finite.
Bundle broken_backbone(const std::string& key, double value, Precision precision = at::kFloat) {
  Bundle bundle = tiny_bundle(precision);
  DualStream backbone = bundle.backbone.get();
  bool is_found = false;
  for_each_tensor(backbone, "", [&](const std::string& name, at::Tensor& tensor) {
    if (name != key) return;
    tensor = tensor.clone();
    tensor.flatten()[0].fill_(value);
    is_found = true;
  });
  EXPECT_TRUE(is_found) << key;
  bundle.backbone = Lazy<DualStream>(backbone);
  return bundle;
}

TEST(Faults, TheFirstStageAndTheWeightAreNamed) {
  struct Case {
    const char *weight, *stage;
  };
  for (const double value : {NAN, INFINITY}) {
    for (const auto& [weight, stage] : {Case{"x_embedder.proj.bias", "patch_embed"},
                                        {"pos_embed", "tokens_plus_pos"},
                                        {"in_blocks.0.norm1.scale", "in_blocks.0.norm1"},
                                        {"in_blocks.0.attn.qkv_text.bias", "in_blocks.0.qkv"},
                                        {"mid_block.attn.proj_image.bias", "mid_block.attn_out"},
                                        {"out_blocks.0.skip_linear_text.bias", "out_blocks.0.skip"},
                                        {"out_blocks.0.mlp_image.w3.bias", "out_blocks.0.mlp"},
                                        {"final_layer.norm_final.scale", "final.norm"},
                                        {"final_layer.linear.bias", "final.tokens"}}) {
      const std::string fault = fault_of(broken_backbone(weight, value));
      EXPECT_EQ(fault.find("prompt 0, picture 7: sampling step 1 of 4 (t = 0): values are not "
                           "finite, first in stage " +
                           std::string(stage) + " ("),
                0u)
          << fault;
      EXPECT_NE(fault.find("; the backbone's tensor " + std::string(weight) + " (1 of "),
                std::string::npos)
          << fault;
      EXPECT_EQ(fault.find('\n'), std::string::npos) << fault;
    }
  }
}

TEST(Faults, Int8AndBfloat16LoseNoFault) {
  for (const Precision& precision : {Precision(at::kBFloat16), {at::kFloat, true}}) {
    for (const char* weight : {"in_blocks.0.mlp_image.w12.bias", "mid_block.norm2.scale"}) {
      const std::string fault = fault_of(broken_backbone(weight, NAN, precision), {"a"}, precision);
      EXPECT_NE(fault.find(concat("the backbone's tensor ", weight)), std::string::npos) << fault;
    }
  }
}

TEST(Faults, WhatNoPictureReadsMayBeAnything) {
  const Pipeline whole(tiny_bundle(), at::kCPU, at::kFloat);
  const Request request = request_of(whole, "a bar");
  const std::vector<uint8_t> picture = whole.generate({request}, 1)[0].pixels;
  for (const char* unused : {"out_blocks.0.mlp_text.w3.bias", "out_blocks.0.attn.proj_text.weight",
                             "t_embedder.linear1.weight"}) {
    const Bundle bundle = broken_backbone(unused, NAN);
    const Pipeline pipeline(bundle, at::kCPU, at::kFloat);
    EXPECT_EQ(pipeline.generate({request}, 1)[0].pixels, picture) << unused;
    // Beside a true fault behind it, it is not what is named.
    Bundle both = broken_backbone("final_layer.linear.bias", NAN);
    DualStream backbone = both.backbone.get();
    backbone.out_blocks[0] = bundle.backbone.get().out_blocks[0];
    backbone.t_embedder = bundle.backbone.get().t_embedder;
    both.backbone = Lazy<DualStream>(backbone);
    const std::string fault = fault_of(both);
    EXPECT_NE(fault.find("first in stage final.tokens ("), std::string::npos) << fault;
    EXPECT_NE(fault.find("tensor final_layer.linear.bias ("), std::string::npos) << fault;
  }
}

TEST(Faults, FiniteWeightsThatGiveInfinityAreToldApart) {
  const Bundle bundle = broken_backbone("final_layer.linear.bias", 3e38);
  const std::string fault = fault_of(bundle);
  EXPECT_NE(fault.find("first in stage guidance ("), std::string::npos) << fault;
  EXPECT_NE(fault.find("; all weights of the backbone are finite, but give values beyond float32"),
            std::string::npos)
      << fault;
  Precision half = at::kBFloat16;
  const std::string rounded =
      fault_of(broken_backbone("final_layer.linear.bias", 3e38, half), {"a bar"}, half);
  EXPECT_NE(rounded.find("; all weights of the backbone are finite: try --dtype float32"),
            std::string::npos)
      << rounded;
}

TEST(Faults, TheAdapterIsCheckedBeforeTheFirstStep) {
  const std::string fault =
      fault_of(broken_backbone("text_encoder_adapter.connector_mlp.w3.bias", NAN));
  EXPECT_EQ(fault.find("prompt 0, picture 7: values of the adapter are not finite, first in stage "
                       "adapter.mlp1 ("),
            0u)
      << fault;
  // The null caption is the unconditional half's of every picture: the first is named.
  const std::string null_caption =
      fault_of(broken_backbone("text_encoder_adapter.learnable_null_caption", NAN), {"a", "a bar"});
  EXPECT_EQ(null_caption.find("prompt 0, picture 7: values of the adapter"), 0u) << null_caption;
}

TEST(Faults, APromptOfItsOwnIsNamed) {
  Bundle bundle = tiny_bundle();
  T5GemmaEncoder encoder = bundle.text_encoder.get();
  encoder.embed_tokens.weight = encoder.embed_tokens.weight.clone();
  const std::vector<int64_t> good = bundle.tokenizer.encode("a red", 8),
                             bad = bundle.tokenizer.encode("a blue", 8);
  int64_t only_bad = -1;
  for (const int64_t id : bad)
    if (std::find(good.begin(), good.end(), id) == good.end()) only_bad = id;
  ASSERT_GE(only_bad, 0);
  encoder.embed_tokens.weight[only_bad].fill_(INFINITY);
  bundle.text_encoder = Lazy<T5GemmaEncoder>(encoder);
  const std::string fault = fault_of(bundle, {"a red", "a blue", "a red"});
  EXPECT_EQ(fault.find("prompt 1, picture 7: values of the text encoder are not finite, first in "
                       "stage hidden.0 (16 of "),
            0u)
      << fault;
  EXPECT_NE(fault.find("; the text encoder's tensor embed_tokens.weight (16 of "),
            std::string::npos)
      << fault;
}

TEST(Faults, TheDecoderIsLocatedToo) {
  for (const auto& [weight, stage] :
       {std::pair("decoder.1.bias", "decoder.1"), {"decoder.7.weight", "decoder.7"}}) {
    SafetensorsFile file = read_safetensors("weights/taef2/taef2.safetensors");
    const std::filesystem::path folder = fresh_folder("decoder");
    for (const char* key : {weight, "encoder.0.bias"}) {  // of the encoder nothing is said
      file.tensors.at(key) = file.tensors.at(key).clone();
      file.tensors.at(key).flatten()[0].fill_(NAN);
    }
    write_safetensors(folder / "taef2.safetensors", file.tensors);
    Bundle bundle = tiny_bundle();
    bundle.vae = Vae::load(folder);
    const std::string fault = fault_of(bundle);
    EXPECT_EQ(fault.find(concat("prompt 0, picture 7: values of the autoencoder are not finite, "
                                "first in stage ",
                                stage, " (")),
              0u)
        << fault;
    EXPECT_NE(fault.find(concat("; the autoencoder's tensor ", weight, " (")), std::string::npos)
        << fault;
  }
}

TEST(Faults, AFileWrittenToWhileItIsMappedEndsTheRun) {
  const std::filesystem::path path = fresh_folder("written") / "weights";
  write_file_atomically(path, "weights");
  const MappedFile file(path);
  const Pipeline pipeline(tiny_bundle(), at::kCPU, at::kFloat);
  const std::vector<Request> requests(1, request_of(pipeline, "a bar"));
  const auto write = [&] { std::filesystem::resize_file(path, 100); };
  int64_t num_steps = 0;
  EXPECT_THROW(pipeline.generate(
                   requests, 1, [](size_t, const Image&) { ADD_FAILURE() << "a picture"; },
                   [&](int64_t done, int64_t) {
                     num_steps = done;
                     if (done == 2) write();
                   }),
               Failure);
  EXPECT_EQ(num_steps, 2);
}

}  // namespace
}  // namespace i1
