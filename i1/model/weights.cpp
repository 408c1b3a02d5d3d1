#include "i1/model/weights.h"

#include <algorithm>
#include <cmath>

#include "i1/core/error.h"
#include "i1/io/load_fields.h"
#include "i1/io/weights_file.h"

namespace i1 {
namespace {

bool any_key(const TensorMap& tensors, const std::string& prefix) {
  const auto found = tensors.lower_bound(prefix);
  return found != tensors.end() && found->first.starts_with(prefix);
}

int64_t count_blocks(const TensorMap& tensors, const std::string& prefix) {
  int64_t count = 0;
  while (any_key(tensors, prefix + std::to_string(count) + ".")) ++count;
  return count;
}

const at::Tensor& tensor_at(const TensorMap& tensors, const std::string& key,
                            const std::string& where) {
  const auto found = tensors.find(key);
  check_user(found != tensors.end(), where, ": no tensor \"", key,
             "\"; not the weights of a dual-stream i1 model");
  return found->second;
}

// "blocks_7/attn/qkv_image/kernel" -> "blocks.7.attn.qkv_image.weight"
std::string torch_name(std::string key) {
  std::replace(key.begin(), key.end(), '/', '.');
  if (key.ends_with(".kernel")) key.replace(key.size() - 6, 6, "weight");
  if (key.starts_with("blocks_")) key[6] = '.';
  return key;
}

// (in, out) -> (out, in); convolutions (kh, kw, in, out) -> (out, in, kh, kw).
at::Tensor torch_kernel(const at::Tensor& kernel) {
  return kernel.dim() == 4 ? kernel.permute({3, 2, 0, 1}) : kernel.t();
}

// Sets mlp_ratio to the smallest ratio that gives the FFN the width that its weights have.
void infer_mlp_ratio(ModelConfig& config, const TensorMap& tensors, const std::string& where) {
  const std::string block = config.use_long_skip ? "mid_block." : "blocks.0.";
  const std::string key =
      block + (config.use_swiglu ? "mlp_image.w3.weight" : "mlp_image.fc2.weight");
  const at::Tensor& out = tensor_at(tensors, key, where);
  check_user(out.dim() == 2, where, ": tensor \"", key, "\" has shape ", out.sizes(),
             ", expected (hidden, ffn)");
  if (config.ffn_size() == out.size(1)) return;
  const auto hidden = static_cast<double>(config.hidden_size);
  const int64_t wide = config.use_swiglu ? out.size(1) * 3 / 2 : out.size(1);
  for (const double extra : {0.0, 0.5, 1.0, 1.5, 2.0}) {  // both roundings are downwards
    config.mlp_ratio = (static_cast<double>(wide) + extra) / hidden;
    if (config.ffn_size() == out.size(1)) return;
  }
  throw UserError(concat(where, ": tensor \"", key, "\" has shape ", out.sizes(),
                         ", which no mlp_ratio gives"));
}

// The second image token stands in column 1 of row 0, and its first channel is sin(1 * 256 / R).
void infer_resolution(ModelConfig& config, const TensorMap& tensors) {
  config.resolution = 8 * config.latent_size;
  const auto table = tensors.find("pos_embed");
  if (table == tensors.end() || table->second.dim() != 3 || config.grid_size() < 2 ||
      table->second.numel() < 2 * config.hidden_size)
    return;
  const double sine = table->second[0][1][0].item<double>();
  constexpr double kRounding = 1e-6;  // of a float32 table; far below what one pixel changes
  // Its latents' own size, also below 163 px, where the angle is too large for the arc sine.
  if (std::abs(sine - std::sin(config.position_scale())) < kRounding) return;
  if (sine > 0 && sine < 1) config.resolution = std::llround(256 / std::asin(sine));
}

// Which tensors of a file are the backbone's, under which prefix.
struct Side {
  std::string prefix;
  bool is_jax;
};

Side find_side(const WeightsFile& file, WeightsSide side) {
  const bool is_raw = side == WeightsSide::kRaw;
  const std::vector<Side> sides =
      is_raw ? std::vector<Side>{{"train_state.model_raw.", false}, {"params/", true}}
             : std::vector<Side>{{"model.", false}, {"params_ema/", true}, {"", false}};
  for (const Side& candidate : sides) {
    const std::string key =
        candidate.prefix + (candidate.is_jax ? "x_embedder/proj/bias" : "x_embedder.proj.bias");
    if (file.tensors.contains(key)) return candidate;
  }
  throw UserError(concat(file.where, ": no ", is_raw ? "raw" : "EMA",
                         " weights of an i1 backbone in this ", file.format,
                         " file; expected x_embedder.proj.bias under ", sides[0].prefix, " or ",
                         sides[1].prefix));
}

}  // namespace

void infer_switches(ModelConfig& config, const TensorMap& tensors, const std::string& where) {
  const at::Tensor& patch = tensor_at(tensors, "x_embedder.proj.weight", where);
  check_user(patch.dim() == 4 && patch.size(2) == patch.size(3), where,
             ": tensor \"x_embedder.proj.weight\" has shape ", patch.sizes(),
             ", expected (hidden, channels, patch, patch)");
  config.hidden_size = patch.size(0);
  config.latent_channels = patch.size(1);
  config.patch_size = patch.size(2);
  const std::string adapter = "text_encoder_adapter.";
  const at::Tensor& null_caption = tensor_at(tensors, adapter + "learnable_null_caption", where);
  check_user(null_caption.dim() == 3, where, ": tensor \"", adapter,
             "learnable_null_caption\" has shape ", null_caption.sizes(),
             ", expected (1, tokens, width)");
  config.num_text_tokens = null_caption.size(1);
  config.text_width = null_caption.size(2);
  config.num_adapter_blocks = 1;
  while (any_key(
      tensors, adapter + "connector_attn" + std::to_string(config.num_adapter_blocks + 1) + ".")) {
    ++config.num_adapter_blocks;
  }
  config.use_long_skip = any_key(tensors, "mid_block.");
  config.depth = config.use_long_skip ? 2 * count_blocks(tensors, "in_blocks.") + 1
                                      : count_blocks(tensors, "blocks.");
  const std::string first = config.use_long_skip ? "mid_block." : "blocks.0.";
  config.use_sandwich_norm = any_key(tensors, first + "norm3.");
  config.use_separate_norms = any_key(tensors, first + "norm1_image.");
  config.use_qk_norm = any_key(tensors, adapter + "connector_attn.q_norm.");
  config.use_separate_qk_norms = any_key(tensors, first + "attn.q_norm_image.");
  config.use_swiglu = any_key(tensors, first + "mlp_image.w12.");
  config.use_rms_norm = !tensors.contains("final_layer.norm_final.bias");
  // Head size shows in the QK-norms, the FFN's ratio only up to rounding: both are kept where the
  // config agrees.
  const auto q_norm = tensors.find(adapter + "connector_attn.q_norm.scale");
  if (q_norm != tensors.end() && q_norm->second.numel() > 0) {
    config.num_heads = config.hidden_size / q_norm->second.numel();
  }
  const auto pos_embed = tensors.find("pos_embed");
  if (pos_embed != tensors.end() && pos_embed->second.dim() == 3) {
    int64_t grid = 1;
    while (grid * grid < pos_embed->second.size(1)) ++grid;
    config.latent_size = grid * config.patch_size;
  }
}

DualStream load_dual_stream(const ModelConfig& config, const TensorMap& tensors,
                            const std::string& where) {
  check_model_config(config, where);
  DualStream model = make_dual_stream(config);
  if (!any_key(tensors, "t_embedder.")) model.t_embedder.reset();
  TensorMap fitting = tensors;
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (!is_frozen(key)) return;
    const auto stored = fitting.find(key);
    if (stored == fitting.end() || stored->second.sizes() != tensor.sizes()) fitting[key] = tensor;
  });
  load_fields(model, "", fitting, where);
  return model;
}

TensorMap from_jax_names(const TensorMap& tensors, const std::string& prefix) {
  TensorMap renamed;
  int64_t num_blocks = 0;
  for (const auto& [key, tensor] : tensors) {
    if (!key.starts_with(prefix)) continue;
    const std::string name = torch_name(key.substr(prefix.size()));
    renamed[name] = key.ends_with("/kernel") ? torch_kernel(tensor) : tensor;
    if (name.starts_with("blocks."))
      num_blocks = std::max<int64_t>(num_blocks, std::stoll(name.substr(7)) + 1);
  }
  const int64_t middle = num_blocks / 2;
  if (!any_key(renamed, concat("blocks.", num_blocks - 1, ".skip_linear_image."))) return renamed;
  TensorMap sorted;
  for (const auto& [key, tensor] : renamed) {
    if (!key.starts_with("blocks.")) {
      sorted[key] = tensor;
      continue;
    }
    const size_t dot = key.find('.', 7);
    const int64_t block = std::stoll(key.substr(7));
    const std::string place = block < middle    ? concat("in_blocks.", block)
                              : block == middle ? std::string("mid_block")
                                                : concat("out_blocks.", block - middle - 1);
    sorted[place + key.substr(dot)] = tensor;
  }
  return sorted;
}

StoredBackbone read_backbone(const std::filesystem::path& path, WeightsSide side) {
  const bool is_raw = side == WeightsSide::kRaw;
  const WeightsFile file = open_weights(path, [&](const std::string& name) {
    // A checkpoint's other side and its optimizer state; everything else may be the backbone.
    return !name.starts_with("opt/") && !name.starts_with("chrono/") &&
           !name.starts_with("train_state.opt.") &&
           !name.starts_with(is_raw ? "params_ema/" : "params/");
  });
  const Side found = find_side(file, side);
  StoredBackbone stored;
  stored.tensors = read_tensors(file, found.prefix);
  if (found.is_jax) stored.tensors = from_jax_names(stored.tensors, "");
  const bool has_config = file.values.is_object() && file.values.contains("config");
  if (has_config) stored.config = config_from_reference(file.values["config"]);
  infer_switches(stored.config, stored.tensors, file.where);
  if (!has_config) {
    infer_mlp_ratio(stored.config, stored.tensors, file.where);
    infer_resolution(stored.config, stored.tensors);
  }
  return stored;
}

StoredBackbone at_resolution(StoredBackbone stored, int64_t resolution, int64_t latent_size) {
  stored.config.resolution = resolution;
  stored.config.latent_size = latent_size;
  std::erase_if(stored.tensors, [](const auto& item) { return is_frozen(item.first); });
  return stored;
}

TensorMap to_tensor_map(DualStream& model) {
  TensorMap tensors;
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (tensor.defined()) tensors[key] = tensor;
  });
  return tensors;
}

bool stays_float32(const std::string& key) {
  return key.starts_with("rope_embedder.") || key.ends_with("scale") ||
         key.find("norm") != std::string::npos;
}

DualStream compute_copy(const DualStream& model, at::ScalarType dtype, at::Device device) {
  DualStream copy = model;
  for_each_tensor(copy, "", [&](const std::string& key, at::Tensor& tensor) {
    at::ScalarType kept = stays_float32(key) ? at::kFloat : dtype;
    if (tensor.scalar_type() == at::kChar) kept = at::kChar;  // its float32 scales stand beside it
    tensor = tensor.to(device, kept).contiguous();
  });
  return copy;
}

}  // namespace i1
