#include "i1/text/t5gemma_config.h"

#include "i1/core/config.h"
#include "i1/core/files.h"

namespace i1 {
namespace {

using nlohmann::json;

void check_settings(const json& encoder, const std::string& where) {
  const std::vector<std::pair<std::string, json>> supported = {
      {"hidden_activation", "gelu_pytorch_tanh"}, {"attention_bias", false}, {"is_decoder", false}};
  for (const auto& [key, value] : supported) {
    check_user(!encoder.contains(key) || encoder[key] == value, where, ": \"", key, "\" is ",
               encoder.value(key, json()).dump(), ", supported: ", value.dump());
  }
}

// transformers 5 keeps theta in "rope_parameters", the same for every kind of layer or one entry a
// kind.
json rope_theta(const json& encoder, const std::string& where) {
  json rope = encoder.value("rope_parameters", json());
  if (rope.is_object() && rope.contains("full_attention")) rope = rope["full_attention"];
  if (!rope.is_object()) return encoder.value("rope_theta", json());
  const json type = rope.value("rope_type", json("default"));
  check_user(type == "default", where, ": rope_type ", type.dump(),
             " is not supported, only \"default\"");
  return rope.value("rope_theta", json());
}

}  // namespace

T5GemmaConfig t5gemma_2b() { return {}; }

T5GemmaConfig t5gemma_nano(int64_t vocab_size) {
  T5GemmaConfig config;
  config.vocab_size = vocab_size;
  config.hidden_size = 256;
  config.intermediate_size = 896;
  config.num_hidden_layers = 5;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 64;
  config.query_pre_attn_scalar = 64;
  return config;
}

void check_t5gemma_config(const T5GemmaConfig& config, const std::string& where) {
  constexpr int64_t kLargest = int64_t{1} << 24;  // keeps every product of two sizes in 64 bits
  const auto check_size = [&](const char* name, int64_t size) {
    check_user(size > 0 && size <= kLargest, where, ": \"", name, "\" is ", size,
               ", expected 1 to ", kLargest);
  };
  check_size("vocab_size", config.vocab_size);
  check_size("hidden_size", config.hidden_size);
  check_size("intermediate_size", config.intermediate_size);
  check_size("num_attention_heads", config.num_attention_heads);
  check_size("num_key_value_heads", config.num_key_value_heads);
  check_size("head_dim", config.head_dim);
  check_size("sliding_window", config.sliding_window);
  check_user(config.num_hidden_layers > 0 && config.num_hidden_layers <= 1024, where,
             ": \"num_hidden_layers\" is ", config.num_hidden_layers, ", expected 1 to 1024");
  check_user(config.num_attention_heads % config.num_key_value_heads == 0, where,
             ": \"num_attention_heads\" ", config.num_attention_heads,
             " is no multiple of \"num_key_value_heads\" ", config.num_key_value_heads);
  check_user(config.head_dim % 2 == 0, where, ": \"head_dim\" ", config.head_dim, " is odd");
  check_user(config.query_pre_attn_scalar > 0 && config.rope_theta > 0 &&
                 config.rms_norm_eps >= 0 && config.attn_logit_softcapping >= 0,
             where, ": \"query_pre_attn_scalar\", \"rope_theta\" must be above 0 and ",
             "\"rms_norm_eps\", \"attn_logit_softcapping\" not below");
  check_user(config.pad_token_id >= 0 && config.pad_token_id < config.vocab_size, where,
             ": \"pad_token_id\" ", config.pad_token_id, " is outside the vocabulary of ",
             config.vocab_size);
  check_user(config.layer_types.empty() ||
                 static_cast<int64_t>(config.layer_types.size()) == config.num_hidden_layers,
             where, ": ", config.layer_types.size(), " \"layer_types\" for ",
             config.num_hidden_layers, " layers");
  for (const std::string& type : config.layer_types) {
    check_user(type == "sliding_attention" || type == "full_attention", where, ": layer type \"",
               type, "\", expected \"sliding_attention\" or \"full_attention\"");
  }
}

T5GemmaConfig read_t5gemma_config(const std::filesystem::path& path) {
  const std::string where = path.string();
  const json file = json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  check_user(file.is_object(), where, ": not a JSON object");
  const json& encoder = file.contains("encoder") ? file["encoder"] : file;
  check_user(encoder.is_object(), where, ": \"encoder\" is not an object");
  const std::string type = encoder.value("model_type", json("")).dump();
  check_user(
      type.find("t5_gemma") != std::string::npos || type.find("t5gemma") != std::string::npos,
      where, ": \"model_type\" is ", type, ", expected a T5Gemma");
  check_settings(encoder, where);
  json known = json::object();
  T5GemmaConfig config;
  for (const std::string& name : field_names(config)) {
    const json value =
        name == "rope_theta" ? rope_theta(encoder, where) : encoder.value(name, json());
    if (!value.is_null()) known[name] = value;
  }
  from_json(config, known, where);
  if (encoder.contains("attn_logit_softcapping") && encoder["attn_logit_softcapping"].is_null())
    config.attn_logit_softcapping = 0;
  check_t5gemma_config(config, where);
  return config;
}

nlohmann::ordered_json t5gemma_config_json(const T5GemmaConfig& config) {
  nlohmann::ordered_json encoder = {{"model_type", "t5_gemma_module"},
                                    {"hidden_activation", "gelu_pytorch_tanh"},
                                    {"attention_bias", false},
                                    {"is_decoder", false}};
  const nlohmann::ordered_json fields = to_json(config);
  encoder.update(fields);
  if (config.layer_types.empty()) {
    for (int64_t i = 0; i < config.num_hidden_layers; ++i)
      encoder["layer_types"].push_back(config.is_sliding(i) ? "sliding_attention"
                                                            : "full_attention");
  }
  return {{"architectures", {"T5GemmaEncoderModel"}},
          {"model_type", "t5gemma"},
          {"is_encoder_decoder", false},
          {"vocab_size", config.vocab_size},
          {"pad_token_id", config.pad_token_id},
          {"encoder", encoder}};
}

}  // namespace i1
