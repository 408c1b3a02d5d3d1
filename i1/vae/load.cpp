#include "i1/vae/load.h"

#include <charconv>

#include "i1/core/files.h"
#include "i1/io/load_fields.h"
#include "i1/io/weights_file.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNumLevels = 4;  // a latent for 8 x 8 pixels

nlohmann::json read_config_file(const fs::path& path) {
  nlohmann::json stored = nlohmann::json::parse(read_file(path), nullptr, false);
  check_user(stored.is_object(), path.string(), ": not a JSON object");
  return stored;
}

void check_size(const std::string& where, const char* name, int64_t size) {
  check_user(size > 0 && size <= 8192, where, ": ", name, " is ", size, ", expected 1 to 8192");
}

void check_num_levels(const std::string& where, const char* name, size_t num_levels) {
  check_user(num_levels == kNumLevels, where, ": ", name, " has ", num_levels,
             " entries, expected 4 (a latent for 8 x 8 pixels)");
}

void check_config(const AutoencoderConfig& config, const std::string& where) {
  check_size(where, "in_channels", config.in_channels);
  check_size(where, "out_channels", config.out_channels);
  check_size(where, "latent_channels", config.latent_channels);
  check_size(where, "norm_num_groups", config.norm_num_groups);
  check_size(where, "layers_per_block", config.layers_per_block);
  check_num_levels(where, "block_out_channels", config.block_out_channels.size());
  for (const int64_t width : config.block_out_channels) {
    check_size(where, "an entry of block_out_channels", width);
    check_user(width % config.norm_num_groups == 0, where, ": block_out_channels ", width,
               " is not a multiple of norm_num_groups ", config.norm_num_groups);
  }
}

void check_config(const QwenImageConfig& config, const std::string& where) {
  check_size(where, "base_dim", config.base_dim);
  check_size(where, "z_dim", config.z_dim);
  check_size(where, "num_res_blocks", config.num_res_blocks);
  check_num_levels(where, "dim_mult", config.dim_mult.size());
  for (const int64_t factor : config.dim_mult) {
    check_size(where, "an entry of dim_mult", factor);
    check_size(where, "base_dim times an entry of dim_mult", config.base_dim * factor);
    check_user(config.base_dim * factor % 2 == 0, where, ": a level is ", config.base_dim * factor,
               " wide; expected an even number, which enlarging halves");
  }
  check_user(config.input_channels == 3, where, ": input_channels is ", config.input_channels,
             ", expected 3");
  check_user(config.attn_scales.empty(), where,
             ": attn_scales is not empty; this version has no attention in a level");
  const auto z_dim = static_cast<size_t>(config.z_dim);
  for (const auto& [name, values] : {std::pair{"latents_mean", &config.latents_mean},
                                     std::pair{"latents_std", &config.latents_std}}) {
    check_user(values->size() == z_dim, where, ": ", name, " has ", values->size(),
               " entries, expected z_dim = ", z_dim);
  }
  for (const double std : config.latents_std)
    check_user(std > 0, where, ": latents_std has the entry ", std, ", expected numbers above 0");
}

void erase_batch_norm(TensorMap& tensors) {
  std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("bn."); });
}

void check_class(const fs::path& folder, bool is_right, const char* expected) {
  check_user(is_right, (folder / "config.json").string(), ": _class_name is \"",
             autoencoder_class(folder), "\"; expected ", expected);
}

// A leading "NAME.NUMBER." of `text`: cuts it off and gives the number.
bool take_number(std::string_view& text, std::string_view name, int64_t& number) {
  if (!text.starts_with(name)) return false;
  const std::string_view rest = text.substr(name.size());
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || end == rest.data() + rest.size() || *end != '.') return false;
  text = rest.substr(static_cast<size_t>(end - rest.data()) + 1);
  return true;
}

bool replace_start(std::string& text, std::string_view before, std::string_view after) {
  if (!text.starts_with(before)) return false;
  text.replace(0, before.size(), after);
  return true;
}

// What follows "encoder.down.I." or "decoder.up.I.".
std::string level_field(std::string_view rest) {
  int64_t block = 0;
  if (take_number(rest, "block.", block)) {
    std::string layer(rest);
    replace_start(layer, "nin_shortcut.", "conv_shortcut.");
    return "resnets." + std::to_string(block) + "." + layer;
  }
  std::string layer(rest);
  replace_start(layer, "downsample.", "downsamplers.0.") ||
      replace_start(layer, "upsample.", "upsamplers.0.");
  return layer;
}

constexpr std::pair<const char*, const char*> kFluxNames[] = {
    {"mid.block_1.", "mid_block.resnets.0."},
    {"mid.block_2.", "mid_block.resnets.1."},
    {"mid.attn_1.norm.", "mid_block.attentions.0.group_norm."},
    {"mid.attn_1.q.", "mid_block.attentions.0.to_q."},
    {"mid.attn_1.k.", "mid_block.attentions.0.to_k."},
    {"mid.attn_1.v.", "mid_block.attentions.0.to_v."},
    {"mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0."},
    {"norm_out.", "conv_norm_out."}};

// Tensors of a single file by the names of our fields, attention's 1x1 convolutions as matrices.
TensorMap by_flux_fields(const TensorMap& stored) {
  TensorMap tensors;
  for (const auto& [name, tensor] : stored) {
    const std::string field = flux_field_name(name);
    const bool is_matrix = field.find(".attentions.0.to_") != std::string::npos;
    const bool is_1x1 = tensor.dim() == 4 && tensor.size(2) == 1 && tensor.size(3) == 1;
    tensors[field] = is_matrix && is_1x1 ? tensor.flatten(1) : tensor;
  }
  return tensors;
}

int64_t size_of(const TensorMap& tensors, const std::string& key, int64_t dim,
                const std::string& where) {
  const auto found = tensors.find(key);
  check_user(found != tensors.end(), where, ": no tensor \"", key,
             "\" or the like of it; expected a whole FLUX autoencoder");
  check_user(found->second.dim() == 4, where, ": tensor \"", key, "\" has shape ",
             found->second.sizes(), ", expected a convolution's");
  return found->second.size(dim);
}

AutoencoderConfig config_of(const TensorMap& tensors, const std::string& where) {
  AutoencoderConfig config;
  config.block_out_channels.clear();
  for (int64_t level = 0; level < kNumLevels; ++level) {
    config.block_out_channels.push_back(size_of(
        tensors, concat("encoder.down_blocks.", level, ".resnets.0.conv1.weight"), 0, where));
  }
  config.layers_per_block = 0;
  while (tensors.contains(
      concat("encoder.down_blocks.0.resnets.", config.layers_per_block, ".conv1.weight"))) {
    ++config.layers_per_block;
  }
  config.in_channels = size_of(tensors, "encoder.conv_in.weight", 1, where);
  config.latent_channels = size_of(tensors, "decoder.conv_in.weight", 1, where);
  config.out_channels = size_of(tensors, "decoder.conv_out.weight", 0, where);
  config.use_quant_conv = tensors.contains("quant_conv.weight");
  config.use_post_quant_conv = tensors.contains("post_quant_conv.weight");
  return config;
}

}  // namespace

std::string autoencoder_class(const fs::path& folder) {
  const nlohmann::json stored = read_config_file(folder / "config.json");
  const auto name = stored.find("_class_name");
  return name != stored.end() && name->is_string() ? name->get<std::string>() : "";
}

Autoencoder load_autoencoder(const fs::path& folder) {
  const std::string kind = autoencoder_class(folder);
  check_class(folder, kind == "AutoencoderKL" || kind == "AutoencoderKLFlux2",
              "AutoencoderKLFlux2, AutoencoderKL or AutoencoderKLQwenImage");
  const std::string where = (folder / "config.json").string();
  const auto config =
      read_autoencoder_config<AutoencoderConfig>(read_config_file(folder / "config.json"), where);
  check_config(config, where);
  Autoencoder vae = make_autoencoder(config);
  TensorMap tensors = read_tensors(open_weights(folder));
  erase_batch_norm(tensors);
  load_fields(vae, "", tensors, folder.string());
  return vae;
}

QwenImageAutoencoder load_qwen_image(const fs::path& folder) {
  check_class(folder, autoencoder_class(folder) == kQwenImageClass, kQwenImageClass);
  const std::string where = (folder / "config.json").string();
  const auto config =
      read_autoencoder_config<QwenImageConfig>(read_config_file(folder / "config.json"), where);
  check_config(config, where);
  QwenImageAutoencoder vae = make_qwen_image(config);
  TensorMap tensors;
  for (const auto& [key, published] : read_tensors(open_weights(folder))) {
    const at::Tensor used = one_frame_of(key, published);
    if (used.defined()) tensors[key] = used.contiguous();
  }
  load_fields(vae, "", tensors, folder.string());
  return vae;
}

Taef2 load_taef2(const fs::path& path) {
  Taef2 vae = make_taef2();
  load_fields(vae, "", read_safetensors(path).tensors, path.string());
  return vae;
}

std::string flux_field_name(const std::string& name) {
  if (name.starts_with("encoder.quant_conv.") || name.starts_with("decoder.post_quant_conv."))
    return name.substr(std::string_view("encoder.").size());
  std::string_view rest = name;
  int64_t level = 0;
  if (take_number(rest, "encoder.down.", level))
    return concat("encoder.down_blocks.", level, ".", level_field(rest));
  if (take_number(rest, "decoder.up.", level))
    return concat("decoder.up_blocks.", kNumLevels - 1 - level, ".", level_field(rest));
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return name;
  std::string layer = name.substr(dot + 1);
  for (const auto& [theirs, ours] : kFluxNames) {
    if (replace_start(layer, theirs, ours)) break;
  }
  return name.substr(0, dot + 1) + layer;
}

bool is_flux_file(const TensorMap& tensors) {
  return tensors.contains("decoder.mid.block_1.norm1.weight") ||
         tensors.contains("decoder.mid_block.resnets.0.norm1.weight");
}

Autoencoder load_flux_file(const fs::path& path, int64_t norm_num_groups) {
  TensorMap tensors = by_flux_fields(read_safetensors(path).tensors);
  erase_batch_norm(tensors);
  AutoencoderConfig config = config_of(tensors, path.string());
  config.norm_num_groups = norm_num_groups;
  check_config(config, path.string());
  Autoencoder vae = make_autoencoder(config);
  load_fields(vae, "", tensors, path.string() + " (by diffusers' names)");
  return vae;
}

}  // namespace i1
