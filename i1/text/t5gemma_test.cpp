#include "i1/text/t5gemma.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <set>

#include "i1/core/fields.h"
#include "i1/core/files.h"
#include "i1/core/testing.h"
#include "i1/io/row_scales.h"
#include "i1/io/safetensors.h"

namespace i1 {
namespace {

using nlohmann::json;
using Prompts = std::vector<std::vector<int64_t>>;

// goldens/t5gemma/README.md: what two float32 evaluations of such a net may differ by.
constexpr double kTolerance = 1e-4;

T5GemmaConfig tiny_config() {
  T5GemmaConfig config;
  config.vocab_size = 32;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.query_pre_attn_scalar = 12;
  config.attn_logit_softcapping = 5;
  config.sliding_window = 64;
  config.rope_theta = 500;
  config.rms_norm_eps = 1e-2;
  return config;
}

T5GemmaEncoder random_encoder(const T5GemmaConfig& config) {
  at::manual_seed(0);
  T5GemmaEncoder encoder = t5gemma_shapes(config);
  for_each_tensor(encoder, "", [](const std::string&, at::Tensor& tensor) {
    const double std = tensor.dim() == 1 ? 0.1 : 1 / std::sqrt(tensor.size(1));
    tensor = at::randn(tensor.sizes()) * std;
  });
  return encoder;
}

const Prompts kPrompts = {{3, 1, 4, 1, 5, 9, 2, 6}, {}, {7}, {8, 2, 8}};

// The same prompts as padded rows.
struct Padded {
  at::Tensor ids, mask;
};
Padded pad(const Prompts& prompts, int64_t length) {
  const int64_t B = static_cast<int64_t>(prompts.size());
  Padded padded{at::zeros({B, length}, at::kLong), at::zeros({B, length}, at::kLong)};
  for (int64_t b = 0; b < B; ++b) {
    for (size_t i = 0; i < prompts[b].size(); ++i) {
      padded.ids[b][i] = prompts[b][i];
      padded.mask[b][i] = 1;
    }
  }
  return padded;
}

// The padded rows that a packed text holds.
at::Tensor rows_of(const PackedText& packed, const at::Tensor& padded) {
  std::vector<at::Tensor> rows;
  for (size_t b = 0; b < packed.prompts.size(); ++b) {
    const PackedPrompt& prompt = packed.prompts[b];
    rows.push_back(padded[b].narrow(0, 0, prompt.num_tokens + prompt.num_padding_rows));
  }
  return at::cat(rows);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(T5Gemma, FullSizeHasTheReferencesTensors) {
  T5GemmaEncoder encoder = t5gemma_shapes(t5gemma_2b());
  int64_t num_values = 0;
  std::set<std::string> keys;
  for_each_tensor(encoder, "model.encoder", [&](const std::string& key, at::Tensor& tensor) {
    keys.insert(key);
    num_values += tensor.numel();
  });
  EXPECT_EQ(keys.size(), 288u);
  EXPECT_EQ(num_values, 2614341888);
  EXPECT_TRUE(keys.contains("model.encoder.layers.25.self_attn.q_proj.weight"));
  EXPECT_TRUE(keys.contains("model.encoder.layers.0.post_feedforward_layernorm.weight"));
  EXPECT_TRUE(keys.contains("model.encoder.norm.weight"));
}

TEST(T5Gemma, NanoHasFourMillionParametersBesidesItsEmbedding) {
  T5GemmaEncoder encoder = t5gemma_shapes(t5gemma_nano(8000));
  int64_t num_values = 0;
  for_each_tensor(encoder, "", [&](const std::string&, at::Tensor& t) { num_values += t.numel(); });
  const int64_t num_beside = num_values - encoder.embed_tokens.weight.numel();
  EXPECT_GT(num_beside, 4000000);
  EXPECT_LT(num_beside, 5000000);
  check_t5gemma_config(encoder.config, "nano");
}

TEST(T5Gemma, PackedRowsEqualPaddedRows) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  const Padded padded = pad(kPrompts, 9);
  for (const PaddingMode padding : {PaddingMode::kJax, PaddingMode::kTorch}) {
    const TextEncoderOptions options{.padding = padding};
    const PackedText packed = encode_text(encoder, kPrompts, 9, options);
    const at::Tensor expected = encode_padded_text(encoder, padded.ids, padded.mask, options);
    EXPECT_LE(largest_difference(packed.hidden, rows_of(packed, expected)), kTolerance);
  }
}

TEST(T5Gemma, PackedRowsEqualPaddedRowsWhereTheWindowBinds) {
  T5GemmaConfig config = tiny_config();
  const Padded padded = pad(kPrompts, 9);
  at::Tensor unbound;
  for (const int64_t window : {64, 8, 7, 3, 1}) {
    config.sliding_window = window;
    const T5GemmaEncoder encoder = random_encoder(config);
    const PackedText packed = encode_text(encoder, kPrompts, 9);
    const at::Tensor expected = encode_padded_text(encoder, padded.ids, padded.mask);
    EXPECT_LE(largest_difference(packed.hidden, rows_of(packed, expected)), kTolerance) << window;
    if (window == 64) unbound = packed.hidden;
    // Eight tokens are at most seven apart.
    const bool binds = largest_difference(packed.hidden, unbound) > kTolerance;
    EXPECT_EQ(binds, window < 8) << window;
  }
}

TEST(T5Gemma, JaxPaddingIsOneRowThatNoPromptChanges) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  const PackedText packed = encode_text(encoder, kPrompts, 10);
  int64_t begin = 0;
  for (size_t b = 0; b < kPrompts.size(); ++b) {
    const PackedPrompt& prompt = packed.prompts[b];
    EXPECT_EQ(prompt.begin, begin);
    EXPECT_EQ(prompt.num_tokens, static_cast<int64_t>(kPrompts[b].size()));
    EXPECT_EQ(prompt.num_padding_rows, 1);
    begin += prompt.num_tokens + 1;
    EXPECT_TRUE(at::equal(packed.hidden[begin - 1], packed.hidden[-1]));
    EXPECT_FLOAT_EQ(packed.key_bias[begin - 1].item<float>(),
                    std::log(10.0f - static_cast<float>(prompt.num_tokens)));
    if (prompt.num_tokens > 0) {
      EXPECT_EQ(packed.key_bias[prompt.begin].item<float>(), 0);
    }
  }
  EXPECT_EQ(packed.hidden.size(0), begin);
  EXPECT_EQ(packed.key_bias.size(0), begin);
}

TEST(T5Gemma, APromptThatFillsTheLengthHasNoPadding) {
  for (const int64_t window : {64, 2}) {  // packed, and where the window binds
    T5GemmaConfig config = tiny_config();
    config.sliding_window = window;
    const T5GemmaEncoder encoder = random_encoder(config);
    const PackedText packed = encode_text(encoder, kPrompts, 8);
    EXPECT_EQ(packed.prompts[0].num_padding_rows, 0);
    EXPECT_EQ(packed.prompts[1].begin, 8);
    EXPECT_EQ(packed.hidden.size(0), 8 + 1 + 2 + 4);
    const Padded padded = pad(kPrompts, 8);
    EXPECT_LE(
        largest_difference(packed.hidden,
                           rows_of(packed, encode_padded_text(encoder, padded.ids, padded.mask))),
        kTolerance);
    EXPECT_TRUE(packed.key_bias.isfinite().all().item<bool>());
  }
}

TEST(T5Gemma, TorchPaddingFillsEveryPromptAndFollowsIt) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  const PackedText packed = encode_text(encoder, kPrompts, 9, {.padding = PaddingMode::kTorch});
  EXPECT_EQ(packed.hidden.size(0), 4 * 9);
  EXPECT_TRUE(packed.key_bias.eq(0).all().item<bool>());
  for (const PackedPrompt& prompt : packed.prompts)
    EXPECT_EQ(prompt.num_tokens + prompt.num_padding_rows, 9);
  EXPECT_GT(largest_difference(packed.hidden[8], packed.hidden[3 * 9 + 8]), 0.01);
}

TEST(T5Gemma, AnEmptyPromptIsFinite) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  for (const PaddingMode padding : {PaddingMode::kJax, PaddingMode::kTorch}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const PackedText packed =
          encode_text(encoder, {{}}, 4, {.compute_dtype = dtype, .padding = padding});
      EXPECT_EQ(packed.hidden.size(0), padding == PaddingMode::kJax ? 1 : 4);
      EXPECT_TRUE(packed.hidden.isfinite().all().item<bool>());
    }
  }
}

TEST(T5Gemma, JaxPositionsCountTokensOnly) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  const at::Tensor ids = at::tensor({0, 5, 0, 6, 7, 0}, at::kLong).view({1, 6});
  const at::Tensor with_holes = encode_padded_text(encoder, ids, (ids != 0).to(at::kInt));
  const PackedText without = encode_text(encoder, {{5, 6, 7}}, 6);
  const at::Tensor tokens = with_holes[0].index({ids[0] != 0});
  EXPECT_LE(largest_difference(tokens, without.hidden.narrow(0, 0, 3)), kTolerance);
}

TEST(T5Gemma, TheSoftCapCanBeSwitchedOff) {
  T5GemmaEncoder encoder = random_encoder(tiny_config());
  const at::Tensor capped = encode_text(encoder, kPrompts, 9).hidden;
  const at::Tensor off = encode_text(encoder, kPrompts, 9, {.use_logit_softcap = false}).hidden;
  EXPECT_GT(largest_difference(capped, off), 0.01);
  encoder.config.attn_logit_softcapping = 0;
  EXPECT_TRUE(at::equal(encode_text(encoder, kPrompts, 9).hidden, off));
}

TEST(T5Gemma, Bfloat16StaysCloseToFloat32) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  const at::Tensor wide = encode_text(encoder, kPrompts, 9).hidden;
  const at::Tensor narrow =
      encode_text(encoder, kPrompts, 9, {.compute_dtype = at::kBFloat16}).hidden;
  EXPECT_EQ(narrow.scalar_type(), at::kBFloat16);
  EXPECT_LE(((narrow - wide).norm() / wide.norm()).item<double>(), 0.06);  // the goldens' bound
}

TEST(T5Gemma, APromptDoesNotDependOnItsNeighbours) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  const PackedText all = encode_text(encoder, kPrompts, 9);
  const PackedText alone = encode_text(encoder, {kPrompts[3]}, 9);
  const PackedPrompt& last = all.prompts[3];
  EXPECT_LE(largest_difference(all.hidden.narrow(0, last.begin, last.num_tokens + 1), alone.hidden),
            kTolerance);
}

TEST(T5Gemma, GradientsOfThePackedFormEqualThoseOfThePaddedForm) {
  T5GemmaEncoder encoder = random_encoder(tiny_config());
  std::vector<at::Tensor> weights;
  for_each_tensor(encoder, "", [&](const std::string&, at::Tensor& tensor) {
    weights.push_back(tensor.requires_grad_());
  });
  const Padded padded = pad(kPrompts, 9);
  const PackedText packed = encode_text(encoder, kPrompts, 9);
  const at::Tensor probe = at::randn(packed.hidden.sizes());
  const at::Tensor rows = rows_of(packed, encode_padded_text(encoder, padded.ids, padded.mask));
  const auto ours = torch::autograd::grad({(packed.hidden * probe).sum()}, weights);
  const auto twin = torch::autograd::grad({(rows * probe).sum()}, weights);
  for (size_t i = 0; i < weights.size(); ++i) {
    const double scale = std::max(1.0, twin[i].abs().max().item<double>());
    EXPECT_LE(largest_difference(ours[i], twin[i]), kTolerance * scale) << i;
  }
}

TEST(T5Gemma, GradientsEqualFiniteDifferences) {
  T5GemmaEncoder encoder = random_encoder(tiny_config());
  const at::Tensor probe = at::randn({16, 24}), direction = at::randn({3, 24});
  const auto loss = [&] { return (encode_text(encoder, kPrompts, 9).hidden * probe).sum(); };
  // One direction a tensor: loss(w + h d) - loss(w - h d) = 2 h <gradient, d>.
  for_each_tensor(encoder, "", [&](const std::string& key, at::Tensor& tensor) {
    const at::Tensor value = tensor.clone(),
                     d = at::randn(tensor.sizes()) / std::sqrt(tensor.numel());
    tensor = value.clone().requires_grad_();
    const double slope = (torch::autograd::grad({loss()}, {tensor})[0] * d).sum().item<double>();
    const double h = 1e-2;  // truncation ~h^2, cancellation ~epsilon / h
    tensor = value + h * d;
    const double up = loss().item<double>();
    tensor = value - h * d;
    const double down = loss().item<double>();
    tensor = value;
    EXPECT_NEAR(slope, (up - down) / (2 * h), 5e-3 * std::max(1.0, std::abs(slope))) << key;
  });
}

TEST(T5Gemma, StartsWithRowsOfSizeOneAtEveryDepth) {
  const T5GemmaEncoder encoder = init_t5gemma(t5gemma_nano(500), {.seed = 1});
  const at::Tensor ids = at::arange(40, at::kLong).view({2, 20}) * 11;
  const Observer observer = [](const std::string& stage, const at::Tensor& value) {
    if (!stage.starts_with("hidden.")) return;
    const double rms = value.square().mean().sqrt().item<double>();
    // One for the embedding and one for each of two additions a layer, which are nearly
    // independent.
    EXPECT_NEAR(rms / std::sqrt(1 + 2 * std::stod(stage.substr(7))), 1, 0.15) << stage;
  };
  encode_padded_text(encoder, ids, at::ones_like(ids), {}, &observer);
  EXPECT_TRUE(encoder.norm.weight.eq(0).all().item<bool>());
  expect_error("\"head_dim\" is 0", [] {
    T5GemmaConfig config = t5gemma_nano(500);
    config.head_dim = 0;
    init_t5gemma(config, {});
  });
}

TEST(T5Gemma, RefusesPromptsThatDoNotFit) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  expect_error("at most 4", [&] { encode_text(encoder, kPrompts, 4); });
  expect_error("token id 32", [&] { encode_text(encoder, {{32}}, 4); });
  expect_error("token id -1", [&] { encode_text(encoder, {{-1}}, 4); });
  expect_error("no prompt", [&] { encode_text(encoder, {}, 4); });
}

TEST(T5GemmaFolder, GivesBackWhatWasSaved) {
  const T5GemmaEncoder encoder = random_encoder(tiny_config());
  const auto folder = fresh_folder("round");
  save_t5gemma(encoder, folder);
  const T5GemmaEncoder read = load_t5gemma(folder);
  EXPECT_TRUE(
      at::equal(encode_text(encoder, kPrompts, 9).hidden, encode_text(read, kPrompts, 9).hidden));
  EXPECT_EQ(read.config.layer_types[0], "sliding_attention");
  EXPECT_EQ(read.config.layer_types[1], "full_attention");
  T5GemmaConfig config = read.config;
  config.layer_types.clear();
  EXPECT_EQ(config, encoder.config);
}

// An encoder's folder with int8 matrices.
std::filesystem::path int8_folder(const std::string& name) {
  T5GemmaEncoder encoder = random_encoder(tiny_config());
  const auto folder = fresh_folder(name);
  TensorMap tensors;
  for_each_tensor(encoder, "encoder", [&](const std::string& key, at::Tensor& tensor) {
    if (tensor.dim() == 2) {
      put_quantized(tensors, key, tensor);
    } else {
      tensors[key] = tensor;
    }
  });
  write_safetensors(folder / "model.safetensors", tensors);
  write_file_atomically(folder / "config.json", t5gemma_config_json(encoder.config).dump());
  return folder;
}

TEST(T5GemmaFolder, Int8MatricesStayInt8AndGiveTheBitsOfTheirProductsInFloat32) {
  const T5GemmaEncoder read = load_t5gemma(int8_folder("int8"));
  EXPECT_EQ(read.embed_tokens.weight.scalar_type(), at::kChar);
  EXPECT_EQ(read.layers[2].mlp.down_proj.weight.scalar_type(), at::kChar);
  EXPECT_EQ(read.norm.weight.scalar_type(), at::kFloat);
  TensorMap wide = read_safetensors(int8_folder("int8") / "model.safetensors").tensors;
  restore_quantized(wide, "here");
  T5GemmaEncoder expected = widened(read);
  for_each_tensor(expected, "encoder", [&](const std::string& key, at::Tensor& tensor) {
    EXPECT_TRUE(at::equal(tensor, wide.at(key))) << key;
  });
  const Padded padded = pad(kPrompts, 9);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const TextEncoderOptions options{.compute_dtype = dtype};
    EXPECT_TRUE(at::equal(encode_text(read, kPrompts, 9, options).hidden,
                          encode_text(expected, kPrompts, 9, options).hidden));
    EXPECT_TRUE(at::equal(encode_padded_text(read, padded.ids, padded.mask, options),
                          encode_padded_text(expected, padded.ids, padded.mask, options)));
  }
  const auto again = fresh_folder("int8_again");
  save_t5gemma(read, again);
  EXPECT_TRUE(at::equal(encode_text(load_t5gemma(again), kPrompts, 9).hidden,
                        encode_text(read, kPrompts, 9).hidden));
}

TEST(T5GemmaFolder, RefusesScalesThatFitNoMatrix) {
  const std::string matrix = "encoder.layers.1.mlp.up_proj.weight", scale = matrix + ".row_scale";
  const std::vector<std::pair<std::string, std::function<void(TensorMap&)>>> cases = {
      {"\"layers.1.mlp.up_proj.weight\" is Char, expected floating-point",
       [&](TensorMap& t) { t.erase(scale); }},
      {"no tensor \"" + matrix + "\"", [&](TensorMap& t) { t.erase(matrix); }},
      {scale + "\" has shape [3], expected [40]", [&](TensorMap& t) { t[scale] = at::ones({3}); }},
      {"unexpected tensor \"encoder.other.row_scale\"",
       [&](TensorMap& t) { t["encoder.other.row_scale"] = at::ones({3}); }}};
  for (const auto& [expected, damage] : cases) {
    const auto folder = int8_folder("bad_int8");
    TensorMap tensors = read_safetensors(folder / "model.safetensors").tensors;
    damage(tensors);
    write_safetensors(folder / "model.safetensors", tensors);
    expect_error(expected, [&] { load_t5gemma(folder); });
  }
}

// A whole T5Gemma in two shards, with a decoder that must be left alone.
std::filesystem::path sharded_folder(const std::string& name) {
  T5GemmaEncoder encoder = random_encoder(tiny_config());
  const auto folder = fresh_folder(name);
  TensorMap shards[2];
  json weight_map;
  for_each_tensor(encoder, "model.encoder", [&](const std::string& key, at::Tensor& tensor) {
    const size_t shard = weight_map.size() % 2;
    shards[shard][key] = tensor;
    weight_map[key] = "model-" + std::to_string(shard) + ".safetensors";
  });
  shards[0]["model.decoder.norm.weight"] = at::ones({3});
  weight_map["model.decoder.norm.weight"] = "model-0.safetensors";
  weight_map["model.decoder.other.weight"] = "model-missing.safetensors";
  for (const size_t shard : {0, 1})
    write_safetensors(folder / ("model-" + std::to_string(shard) + ".safetensors"), shards[shard]);
  write_file_atomically(folder / "model.safetensors.index.json",
                        json{{"weight_map", weight_map}}.dump());
  write_file_atomically(folder / "config.json", t5gemma_config_json(encoder.config).dump());
  return folder;
}

TEST(T5GemmaFolder, ReadsShardsAndSkipsTheDecoder) {
  const T5GemmaEncoder expected = random_encoder(tiny_config());
  const T5GemmaEncoder read = load_t5gemma(sharded_folder("shards"));
  EXPECT_TRUE(
      at::equal(encode_text(expected, kPrompts, 9).hidden, encode_text(read, kPrompts, 9).hidden));
}

TEST(T5GemmaFolder, RefusesDamagedFoldersAndSaysWhy) {
  const std::string shard = "model-1.safetensors", index = "model.safetensors.index.json";
  const auto with = [](const std::filesystem::path& file, const auto& change) {
    TensorMap tensors = read_safetensors(file).tensors;
    change(tensors);
    write_safetensors(file, tensors);
  };
  const std::vector<std::pair<std::string, std::function<void(const std::filesystem::path&)>>>
      cases = {
          {"no such folder", [](const auto& f) { std::filesystem::remove_all(f); }},
          {"no config.json in this folder",
           [](const auto& f) { std::filesystem::remove(f / "config.json"); }},
          {"config.json: not a JSON",
           [](const auto& f) { write_file_atomically(f / "config.json", "{"); }},
          {"model-1.safetensors", [&](const auto& f) { std::filesystem::remove(f / shard); }},
          {"model-1.safetensors",
           [&](const auto& f) { std::filesystem::resize_file(f / shard, 1000); }},
          {"no weights in this folder", [&](const auto& f) { std::filesystem::remove(f / index); }},
          {"weight_map", [&](const auto& f) { write_file_atomically(f / index, "{}"); }},
          {"is 3",
           [&](const auto& f) {
             write_file_atomically(f / index, R"({"weight_map": {"model.encoder.a": 3}})");
           }},
          {"no tensor \"model.encoder.norm.weight\"",
           [&](const auto& f) {
             for (const char* name : {"model-0.safetensors", "model-1.safetensors"})
               with(f / name, [](TensorMap& t) { t.erase("model.encoder.norm.weight"); });
           }},
          {"unexpected tensor \"model.encoder.layers.3.mlp.bias\"",
           [&](const auto& f) {
             const std::string added = "model.encoder.layers.3.mlp.bias";
             with(f / shard, [&](TensorMap& t) { t[added] = at::ones({2}); });
             auto json = nlohmann::json::parse(read_file(f / index));
             json["weight_map"][added] = shard;
             write_file_atomically(f / index, json.dump());
           }},
          {"expected [32, 24]",
           [&](const auto& f) {
             for (const char* name : {"model-0.safetensors", "model-1.safetensors"})
               with(f / name, [](TensorMap& t) {
                 if (t.contains("model.encoder.embed_tokens.weight"))
                   t["model.encoder.embed_tokens.weight"] = at::ones({24, 32});
               });
           }},
          {"expected floating-point", [&](const auto& f) {
             for (const char* name : {"model-0.safetensors", "model-1.safetensors"})
               with(f / name, [](TensorMap& t) {
                 if (t.contains("model.encoder.norm.weight"))
                   t["model.encoder.norm.weight"] = at::ones({24}, at::kInt);
               });
           }}};
  for (const auto& [expected, damage] : cases) {
    const auto folder = sharded_folder("damaged");
    damage(folder);
    expect_error(expected, [&] { load_t5gemma(folder); });
  }
}

json config_json() { return t5gemma_config_json(tiny_config()); }

T5GemmaConfig read_config(const json& config) {
  const auto path = fresh_folder("config") / "config.json";
  write_file_atomically(path, config.dump());
  return read_t5gemma_config(path);
}

TEST(T5GemmaConfigFile, TakesAnEncoderAloneNewerThetaAndNoCap) {
  T5GemmaConfig expected = read_config(config_json());
  EXPECT_EQ(read_config(config_json()["encoder"]), expected);
  json newer = config_json();
  newer["encoder"].erase("rope_theta");
  newer["encoder"]["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 77.0}};
  EXPECT_EQ(read_config(newer).rope_theta, 77);
  newer["encoder"]["rope_parameters"] = {{"full_attention", {{"rope_theta", 78.0}}}};
  EXPECT_EQ(read_config(newer).rope_theta, 78);
  json uncapped = config_json();
  uncapped["encoder"]["attn_logit_softcapping"] = nullptr;
  EXPECT_EQ(read_config(uncapped).attn_logit_softcapping, 0);
}

TEST(T5GemmaConfigFile, MissingFieldsAreThoseOfTheFullSize) {
  EXPECT_EQ(read_config({{"model_type", "t5_gemma_module"}}), t5gemma_2b());
}

TEST(T5GemmaConfigFile, RefusesWhatThisEncoderIsNot) {
  const std::vector<std::tuple<std::string, std::string, json>> cases = {
      {"expected a T5Gemma", "model_type", "llama"},
      {"\"hidden_activation\" is \"relu\"", "hidden_activation", "relu"},
      {"\"attention_bias\" is true", "attention_bias", true},
      {"\"hidden_size\" cannot be \"x\"", "hidden_size", "x"},
      {"\"hidden_size\" is 0", "hidden_size", 0},
      {"\"vocab_size\" is 1099511627776", "vocab_size", int64_t{1} << 40},
      {"\"num_hidden_layers\" is -1", "num_hidden_layers", -1},
      {"no multiple", "num_key_value_heads", 3},
      {"is odd", "head_dim", 7},
      {"must be above 0", "rope_theta", 0},
      {"\"pad_token_id\" 32", "pad_token_id", 32},
      {"1 \"layer_types\" for 3 layers", "layer_types", json::array({"full_attention"})},
      {"layer type \"chunked\"", "layer_types", json::array({"chunked", "chunked", "chunked"})},
      {"\"linear\" is not supported", "rope_parameters", {{"rope_type", "linear"}}}};
  for (const auto& [expected, key, value] : cases) {
    json config = config_json();
    config["encoder"][key] = value;
    if (key == "num_hidden_layers") config["encoder"].erase("layer_types");
    expect_error(expected, [&] { read_config(config); });
  }
}

}  // namespace
}  // namespace i1
