#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace i1 {

/// Sizes and settings of a T5Gemma encoder. Fields are named as in Hugging Face's config.json
/// (object "encoder"); the defaults are T5Gemma-2B, which are also transformers' own.
struct T5GemmaConfig {
  int64_t vocab_size = 256000;
  int64_t hidden_size = 2304;
  int64_t intermediate_size = 9216;
  int64_t num_hidden_layers = 26;
  int64_t num_attention_heads = 8;
  int64_t num_key_value_heads = 4;
  int64_t head_dim = 256;
  double query_pre_attn_scalar = 256;    ///< logits are divided by its square root
  double attn_logit_softcapping = 50;    ///< 0 = none
  int64_t sliding_window = 4096;         ///< key j is visible to query i where |i - j| < window
  std::vector<std::string> layer_types;  ///< "sliding_attention" or "full_attention" a layer; empty
                                         ///< = alternating, the first one sliding
  double rope_theta = 10000;
  double rms_norm_eps = 1e-6;
  int64_t pad_token_id = 0;

  bool is_sliding(int64_t layer) const {
    return layer_types.empty() ? layer % 2 == 0 : layer_types[layer] == "sliding_attention";
  }

  static void fields(auto& self, auto&& visit) {
    visit("vocab_size", self.vocab_size);
    visit("hidden_size", self.hidden_size);
    visit("intermediate_size", self.intermediate_size);
    visit("num_hidden_layers", self.num_hidden_layers);
    visit("num_attention_heads", self.num_attention_heads);
    visit("num_key_value_heads", self.num_key_value_heads);
    visit("head_dim", self.head_dim);
    visit("query_pre_attn_scalar", self.query_pre_attn_scalar);
    visit("attn_logit_softcapping", self.attn_logit_softcapping);
    visit("sliding_window", self.sliding_window);
    visit("layer_types", self.layer_types);
    visit("rope_theta", self.rope_theta);
    visit("rms_norm_eps", self.rms_norm_eps);
    visit("pad_token_id", self.pad_token_id);
  }

  bool operator==(const T5GemmaConfig&) const = default;
};

/// The presets. `t5gemma_nano` is the bundled model's encoder: 4.4 M parameters and the embedding.
T5GemmaConfig t5gemma_2b();
T5GemmaConfig t5gemma_nano(int64_t vocab_size);

/// Throws UserError, opened by `where`, for sizes that no encoder can have.
void check_t5gemma_config(const T5GemmaConfig& config, const std::string& where);

/// Reads config.json of a whole T5Gemma or of an encoder alone. Keys that an encoder's output does
/// not depend on are passed over; a setting that this encoder lacks (another activation, biases) is
/// a UserError.
T5GemmaConfig read_t5gemma_config(const std::filesystem::path& path);

/// The content of config.json for an encoder alone, as transformers reads it.
nlohmann::ordered_json t5gemma_config_json(const T5GemmaConfig& config);

}  // namespace i1
