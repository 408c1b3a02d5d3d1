#include "i1/model/infer_config.h"

#include <cmath>

#include "i1/core/error.h"

namespace i1 {
namespace {

using Shape = std::vector<int64_t>;

const std::string kAdapter = "text_encoder_adapter.";

int64_t count_blocks(const StoredTensors& tensors, const std::string& prefix) {
  int64_t count = 0;
  while (any_key(tensors, prefix + std::to_string(count) + ".")) ++count;
  return count;
}

const Shape& shape_of(const StoredTensors& tensors, const std::string& key,
                      const std::string& where) {
  const auto found = tensors.find(key);
  check_user(found != tensors.end(), where, ": no tensor \"", key,
             "\"; not the weights of a dual-stream i1 model");
  return found->second.info.shape;
}

void infer_sizes(ModelConfig& config, const StoredTensors& tensors, const std::string& where) {
  const Shape& patch = shape_of(tensors, "x_embedder.proj.weight", where);
  const bool is_patch = patch.size() == 4 && patch[2] == patch[3];
  check_user(is_patch && patch[0] > 0 && patch[2] > 0, where,
             ": tensor \"x_embedder.proj.weight\" has shape ", at::IntArrayRef(patch),
             ", expected (hidden, channels, patch, patch)");
  config.hidden_size = patch[0];
  config.latent_channels = patch[1];
  config.patch_size = patch[2];
  const Shape& caption = shape_of(tensors, kAdapter + "learnable_null_caption", where);
  check_user(caption.size() == 3, where, ": tensor \"", kAdapter,
             "learnable_null_caption\" has shape ", at::IntArrayRef(caption),
             ", expected (1, tokens, width)");
  config.num_text_tokens = caption[1];
  config.text_width = caption[2];
  // The size of a head shows in the QK-norms.
  const auto q_norm = tensors.find(kAdapter + "connector_attn.q_norm.scale");
  if (q_norm != tensors.end() && q_norm->second.info.shape.size() == 1 &&
      q_norm->second.info.shape[0] > 0)
    config.num_heads = config.hidden_size / q_norm->second.info.shape[0];
  const auto pos_embed = tensors.find("pos_embed");
  if (pos_embed != tensors.end() && pos_embed->second.info.shape.size() == 3) {
    int64_t grid = 1;
    while (grid * grid < pos_embed->second.info.shape[1]) ++grid;
    config.latent_size = grid * config.patch_size;
  }
}

}  // namespace

void infer_switches(ModelConfig& config, const StoredTensors& tensors, const std::string& where) {
  infer_sizes(config, tensors, where);
  config.num_adapter_blocks = 1;
  while (any_key(tensors, concat(kAdapter, "connector_attn", config.num_adapter_blocks + 1, "."))) {
    ++config.num_adapter_blocks;
  }
  config.use_long_skip = any_key(tensors, "mid_block.");
  config.depth = config.use_long_skip ? 2 * count_blocks(tensors, "in_blocks.") + 1
                                      : count_blocks(tensors, "blocks.");
  const std::string first = config.use_long_skip ? "mid_block." : "blocks.0.";
  config.use_sandwich_norm = any_key(tensors, first + "norm3.");
  config.use_separate_norms = any_key(tensors, first + "norm1_image.");
  config.use_qk_norm = any_key(tensors, kAdapter + "connector_attn.q_norm.");
  config.use_separate_qk_norms = any_key(tensors, first + "attn.q_norm_image.");
  config.use_swiglu = any_key(tensors, first + "mlp_image.w12.");
  config.use_rms_norm = !tensors.contains("final_layer.norm_final.bias");
}

void infer_mlp_ratio(ModelConfig& config, const StoredTensors& tensors, const std::string& where) {
  const std::string block = config.use_long_skip ? "mid_block." : "blocks.0.";
  const std::string key =
      block + (config.use_swiglu ? "mlp_image.w3.weight" : "mlp_image.fc2.weight");
  const Shape& out = shape_of(tensors, key, where);
  check_user(out.size() == 2, where, ": tensor \"", key, "\" has shape ", at::IntArrayRef(out),
             ", expected (hidden, ffn)");
  if (config.ffn_size() == out[1]) return;
  const auto hidden = static_cast<double>(config.hidden_size);
  const int64_t wide = config.use_swiglu ? out[1] * 3 / 2 : out[1];
  for (const double extra : {0.0, 0.5, 1.0, 1.5, 2.0}) {  // both roundings are downwards
    config.mlp_ratio = (static_cast<double>(wide) + extra) / hidden;
    if (config.ffn_size() == out[1]) return;
  }
  throw UserError(concat(where, ": tensor \"", key, "\" has shape ", at::IntArrayRef(out),
                         ", which no mlp_ratio gives"));
}

// The second image token stands in column 1 of row 0, and its first channel is sin(1 * 256 / R).
void infer_resolution(ModelConfig& config, const StoredTensors& tensors) {
  config.resolution = 8 * config.latent_size;
  const auto stored = tensors.find("pos_embed");
  if (stored == tensors.end() || stored->second.info.shape.size() != 3 || config.grid_size() < 2)
    return;
  const at::Tensor table = stored->second.read();
  if (table.numel() < 2 * config.hidden_size) return;
  const double sine = table[0][1][0].item<double>();
  const bool is_rounded = c10::elementSize(table.scalar_type()) < sizeof(float);
  // Far below what one pixel changes; of a rounded table half a step of bfloat16.
  const double tolerance = is_rounded ? std::abs(sine) / 256 : 1e-6;
  // Its latents' own size, also below 163 px, where the angle is too large for the arc sine.
  if (std::abs(sine - std::sin(config.position_scale())) <= tolerance) return;
  if (sine <= 0 || sine >= 1) return;
  const double resolution = 256 / std::asin(sine);  // of pictures: a multiple of 16
  config.resolution = is_rounded ? std::llround(resolution / 16) * 16 : std::llround(resolution);
}

}  // namespace i1
