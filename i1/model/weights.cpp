#include "i1/model/weights.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <charconv>

#include "i1/core/config.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/load_fields.h"
#include "i1/io/row_scales.h"
#include "i1/model/infer_config.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// "blocks_7/attn/qkv_image/kernel" -> "blocks.7.attn.qkv_image.weight"
std::string torch_name(std::string key) {
  std::replace(key.begin(), key.end(), '/', '.');
  if (key.ends_with(".kernel")) key.replace(key.size() - 6, 6, "weight");
  if (key.starts_with("blocks_")) key[6] = '.';
  return key;
}

// (in, out) -> (out, in); convolutions (kh, kw, in, out) -> (out, in, kh, kw).
at::Tensor torch_kernel(const at::Tensor& kernel) {
  if (kernel.dim() == 4) return kernel.permute({3, 2, 0, 1});
  return kernel.dim() == 2 ? kernel.t() : kernel;
}

StoredTensor torch_kernel(const StoredTensor& kernel) {
  std::vector<int64_t> shape = kernel.info.shape;
  if (shape.size() == 4 || shape.size() == 2) std::reverse(shape.begin(), shape.end());
  if (shape.size() == 4) std::swap(shape[2], shape[3]);
  return {{kernel.info.dtype, shape}, [read = kernel.read] { return torch_kernel(read()); }};
}

// The number in "blocks.12.attn...", -1 where there is none.
int64_t block_number(const std::string& name) {
  int32_t number = -1;
  if (name.starts_with("blocks.")) std::from_chars(&name[7], name.data() + name.size(), number);
  return number;
}

template <class Tensor>
std::map<std::string, Tensor> rename_jax(const std::map<std::string, Tensor>& tensors,
                                         const std::string& prefix) {
  std::map<std::string, Tensor> renamed;
  int64_t num_blocks = 0;
  for (const auto& [key, tensor] : tensors) {
    if (!key.starts_with(prefix)) continue;
    const std::string name = torch_name(key.substr(prefix.size()));
    renamed[name] = key.ends_with("/kernel") ? torch_kernel(tensor) : tensor;
    num_blocks = std::max(num_blocks, block_number(name) + 1);
  }
  const int64_t middle = num_blocks / 2;
  if (!any_key(renamed, concat("blocks.", num_blocks - 1, ".skip_linear_image."))) return renamed;
  std::map<std::string, Tensor> sorted;
  for (const auto& [key, tensor] : renamed) {
    const int64_t block = block_number(key);
    if (block < 0) {
      sorted[key] = tensor;
      continue;
    }
    const std::string place = block < middle    ? concat("in_blocks.", block)
                              : block == middle ? std::string("mid_block")
                                                : concat("out_blocks.", block - middle - 1);
    sorted[place + key.substr(std::min(key.find('.', 7), key.size()))] = tensor;
  }
  return sorted;
}

// Which tensors of a file are the backbone's, under which prefix.
struct Side {
  std::string prefix;
  bool is_jax = false;
};

std::vector<Side> known_sides(WeightsSide side) {
  if (side == WeightsSide::kRaw) return {{"train_state.model_raw."}, {"params/", true}};
  return {{"model."},           {"params_ema/", true},     {""},
          {"transformer."},  // where others store the whole pipeline, or for other programs
          {"diffusion_model."}, {"model.diffusion_model."}};
}

const Side* find_side(const WeightsFile& file, const std::vector<Side>& sides) {
  for (const Side& side : sides) {
    const char* key = side.is_jax ? "x_embedder/proj/bias" : "x_embedder.proj.bias";
    if (file.tensors.contains(side.prefix + key)) return &side;
  }
  return nullptr;
}

StoredTensors below(const StoredTensors& tensors, const std::string& prefix) {
  StoredTensors found;
  for (auto at = tensors.lower_bound(prefix); at != tensors.end() && at->first.starts_with(prefix);
       ++at)
    found[at->first.substr(prefix.size())] = at->second;
  return found;
}

// The config that a file stores as its metadata, or a folder beside its weights. False where there
// is none.
bool read_config(ModelConfig& config, const fs::path& path, const json& values) {
  if (values.is_object() && values.contains(kConfigKey)) {
    const json& stored = values[kConfigKey];
    const std::string where = path.string() + ": " + kConfigKey;
    check_user(stored.is_string(), where, " is ", stored.dump().substr(0, 80), ", expected JSON");
    from_json(config, json::parse(stored.get<std::string>(), nullptr, false), where);
    return true;
  }
  if (values.is_object() && values.contains("config") && values["config"].is_object()) {
    config = config_from_reference(values["config"]);
    return true;
  }
  for (const char* name : {"bundle.json", "config.json", "transformer/config.json"}) {
    if (!fs::exists(path / name)) continue;
    const json stored = json::parse(read_file(path / name), nullptr, false);
    const bool is_bundle = stored.is_object() && stored.contains("model");
    if (is_bundle) from_json(config, stored["model"], (path / name).string() + ": model");
    const bool is_reference = stored.is_object() && stored.contains("input_size");
    if (is_reference) config = config_from_reference(stored);
    if (is_bundle || is_reference) return true;
  }
  return false;
}

}  // namespace

DualStream load_dual_stream(const ModelConfig& config, const TensorMap& tensors,
                            const std::string& where) {
  check_model_config(config, where);
  return load_dual_stream(make_dual_stream(config), tensors, where);
}

DualStream load_dual_stream(DualStream model, const TensorMap& tensors, const std::string& where) {
  const ModelConfig config = model.config;
  if (!any_key(tensors, "t_embedder.")) model.t_embedder.reset();
  TensorMap fitting = tensors;
  const bool has_unused = std::any_of(tensors.begin(), tensors.end(), [&](const auto& item) {
    return is_unused(item.first, config) && !item.first.starts_with("t_embedder.");
  });
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    const auto stored = fitting.find(key);
    const bool is_there = stored != fitting.end();
    if (is_frozen(key)) {
      const bool fits = is_there && stored->second.sizes() == tensor.sizes() &&
                        c10::elementSize(stored->second.scalar_type()) >= sizeof(float);
      if (!fits) fitting[key] = tensor;
    } else if (!is_there && !has_unused && is_unused(key, config)) {
      fitting[key] = at::zeros(tensor.sizes(), tensor.scalar_type());
    }
  });
  load_fields(model, "", fitting, where);
  return model;
}

TensorMap from_jax_names(const TensorMap& tensors, const std::string& prefix) {
  return rename_jax(tensors, prefix);
}

StoredTensors from_jax_names(const StoredTensors& tensors, const std::string& prefix) {
  return rename_jax(tensors, prefix);
}

OpenBackbone open_backbone(const fs::path& path, WeightsSide side) {
  const bool is_raw = side == WeightsSide::kRaw;
  const WeightsFile file = open_weights(path, [&](const std::string& name) {
    // A checkpoint's other side and its optimizer state; everything else may be the backbone.
    return !name.starts_with("opt/") && !name.starts_with("chrono/") &&
           !name.starts_with(is_raw ? "params_ema/" : "params/") &&
           (is_raw ? !name.starts_with("train_state.opt.") && !name.starts_with("model.")
                   : !name.starts_with("train_state."));
  });
  const std::vector<Side> sides = known_sides(side);
  const Side* found = find_side(file, sides);
  check_user(found != nullptr, file.where, ": no ", is_raw ? "raw" : "EMA",
             " weights of an i1 backbone in this ", file.format,
             " file; expected x_embedder.proj.bias under ", sides[0].prefix, " or ",
             sides[1].prefix);
  OpenBackbone backbone{file.where, file.format, {}, below(file.tensors, found->prefix)};
  StoredTensors& tensors = backbone.tensors;
  backbone.int8_pairs = restore_quantized(tensors, file.where);
  if (found->is_jax) tensors = from_jax_names(tensors, "");
  const bool has_config = read_config(backbone.config, path, file.values);
  infer_switches(backbone.config, tensors, file.where);
  if (!has_config) {
    infer_mlp_ratio(backbone.config, tensors, file.where);
    infer_resolution(backbone.config, tensors);
  }
  return backbone;
}

void check_tensors(const OpenBackbone& backbone) {
  load_dual_stream(backbone.config, shapes_of(backbone.tensors, backbone.where), backbone.where);
}

StoredBackbone read_backbone(const fs::path& path, WeightsSide side) {
  const OpenBackbone backbone = open_backbone(path, side);
  return {backbone.config, read_all(backbone.tensors)};
}

bool holds_backbone(const WeightsFile& file, WeightsSide side) {
  return find_side(file, known_sides(side)) != nullptr;
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

bool is_unused(const std::string& key, const ModelConfig& config) {
  const int64_t num_out = config.num_in_blocks();
  const std::string last = !config.use_long_skip ? concat("blocks.", config.num_plain_blocks() - 1)
                           : num_out == 0        ? std::string("mid_block")
                                                 : concat("out_blocks.", num_out - 1);
  return key.starts_with("t_embedder.") || key.starts_with(last + ".attn.proj_text.") ||
         key.starts_with(last + ".mlp_text.");
}

bool is_matrix(const std::string& key, at::IntArrayRef shape) {
  return shape.size() >= 2 && !stays_float32(key) && !is_frozen(key) &&
         key.find("null_caption") == std::string::npos;
}

DualStream compute_copy(const DualStream& model, at::ScalarType dtype, at::Device device) {
  DualStream copy = model;
  for_each_tensor(copy, "", [&](const std::string& key, at::Tensor& tensor) {
    at::ScalarType kept = stays_float32(key) ? at::kFloat : dtype;
    if (tensor.scalar_type() == at::kByte) kept = at::kByte;  // its float32 scales stand beside it
    tensor = tensor.to(device, kept).contiguous();
  });
  return copy;
}

}  // namespace i1
