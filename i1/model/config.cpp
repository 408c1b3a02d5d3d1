#include "i1/model/config.h"

#include "i1/core/error.h"

namespace i1 {

int64_t ModelConfig::ffn_size() const {
  const auto wide = static_cast<int64_t>(mlp_ratio * static_cast<double>(hidden_size));
  return use_swiglu ? static_cast<int64_t>(2.0 / 3.0 * static_cast<double>(wide)) : wide;
}

int64_t ModelConfig::num_in_blocks() const { return use_long_skip ? depth / 2 : 0; }

int64_t ModelConfig::num_plain_blocks() const { return use_long_skip ? 0 : depth; }

std::array<int64_t, 3> ModelConfig::rope_dims() const {
  if (rope_axes_dims.size() == 3) return {rope_axes_dims[0], rope_axes_dims[1], rope_axes_dims[2]};
  return default_rope_dims(head_dim());
}

std::array<int64_t, 3> default_rope_dims(int64_t head_dim) {
  const auto even = [](int64_t n) { return n - n % 2; };
  const int64_t time = even(head_dim / 2), rest = head_dim - time;
  const int64_t row = even(rest / 2);
  return {time, row, rest - row};
}

ModelConfig preset_xl(int64_t resolution, int64_t hidden_size) {
  ModelConfig config;
  config.resolution = resolution;
  config.latent_size = resolution / 8;
  config.hidden_size = hidden_size;
  config.num_heads = hidden_size / 72;
  return config;
}

ModelConfig preset_i1_3b(int64_t resolution) { return preset_xl(resolution, 2016); }

void check_model_config(const ModelConfig& config, const std::string& where) {
  struct Size {
    const char* name;
    int64_t value, largest;
  };
  // The limits keep sums and products of sizes in range, and a slip from filling the memory.
  for (const Size& size : {Size{"resolution", config.resolution, 8192},
                           {"latent_size", config.latent_size, 1024},
                           {"latent_channels", config.latent_channels, 1024},
                           {"patch_size", config.patch_size, 64},
                           {"hidden_size", config.hidden_size, 32768},
                           {"depth", config.depth, 1024},
                           {"num_heads", config.num_heads, 4096},
                           {"text_width", config.text_width, 32768},
                           {"num_text_tokens", config.num_text_tokens, 65536},
                           {"num_adapter_blocks", config.num_adapter_blocks, 1024}}) {
    check_user(size.value > 0 && size.value <= size.largest, where, ": ", size.name, " is ",
               size.value, ", expected 1 to ", size.largest);
  }
  check_user(config.hidden_size % config.num_heads == 0, where, ": hidden_size ",
             config.hidden_size, " is not a multiple of num_heads ", config.num_heads);
  check_user(config.hidden_size % 4 == 0, where, ": hidden_size ", config.hidden_size,
             " is not a multiple of 4");
  check_user(config.latent_size % config.patch_size == 0, where, ": latent_size ",
             config.latent_size, " is not a multiple of patch_size ", config.patch_size);
  check_user(config.mlp_ratio > 0 && config.mlp_ratio <= 64 && config.ffn_size() > 0, where,
             ": mlp_ratio is ", config.mlp_ratio, ", expected a positive number up to 64");
  check_user(config.rope_theta > 0, where, ": rope_theta is ", config.rope_theta,
             ", expected a positive number");
  check_user(config.rope_axes_dims.empty() || config.rope_axes_dims.size() == 3, where,
             ": rope_axes_dims has ", config.rope_axes_dims.size(), " entries, expected 3 or none");
  check_user(config.head_dim() % 2 == 0, where, ": head_dim ", config.head_dim(), " must be even");
  int64_t sum = 0;
  for (const int64_t dim : config.rope_dims()) {
    check_user(dim > 0 && dim % 2 == 0, where,
               ": each RoPE axis needs a positive even number of channels, found ", dim);
    sum += dim;
  }
  check_user(sum == config.head_dim(), where, ": rope_axes_dims sum to ", sum, ", head_dim is ",
             config.head_dim());
  for (const int64_t length : config.rope_axes_lens) {
    check_user(length > 0 && length <= 65536, where, ": rope_axes_lens holds ", length,
               ", expected 1 to 65536");
  }
}

ModelConfig config_from_reference(const nlohmann::json& stored) {
  ModelConfig config;
  const auto take = [&](const char* name, auto& member) {
    const auto found = stored.find(name);
    if (found == stored.end() || found->is_null()) return;
    try {
      found->get_to(member);
    } catch (const nlohmann::json::exception&) {
      throw UserError(concat("stored config: \"", name, "\" is ", found->dump()));
    }
  };
  take("image_resolution", config.resolution);
  take("input_size", config.latent_size);
  take("in_channels", config.latent_channels);
  take("patch_size", config.patch_size);
  take("hidden_size", config.hidden_size);
  take("depth", config.depth);
  take("num_heads", config.num_heads);
  take("mlp_ratio", config.mlp_ratio);
  take("text_embed_dim", config.text_width);
  take("text_num_tokens", config.num_text_tokens);
  take("text_encoder_adapter_num_blocks", config.num_adapter_blocks);
  take("use_long_skip", config.use_long_skip);
  take("use_sandwich_norm", config.use_sandwich_norm);
  take("use_qknorm", config.use_qk_norm);
  take("use_swiglu", config.use_swiglu);
  take("use_rmsnorm", config.use_rms_norm);
  take("use_separate_norms", config.use_separate_norms);
  take("rope_theta", config.rope_theta);
  take("rope_axes_dims", config.rope_axes_dims);
  take("rope_axes_lens", config.rope_axes_lens);
  return config;
}

}  // namespace i1
