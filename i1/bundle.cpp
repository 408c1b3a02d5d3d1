#include "i1/bundle.h"

#include <ATen/ops/zeros.h>

#include <functional>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/io/row_scales.h"
#include "i1/io/weights_file.h"
#include "i1/model/int8.h"
#include "i1/model/weights.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "bundle.json";

bool is_matrix(const std::string& key, const at::Tensor& tensor) {
  return tensor.dim() >= 2 && !stays_float32(key) && key.find("null_caption") == std::string::npos;
}

// Weights that no picture depends on.
bool is_dead(const std::string& key, const std::string& last_block) {
  return is_frozen(key) || key.starts_with("t_embedder.") ||
         key.starts_with(last_block + ".attn.proj_text.") ||
         key.starts_with(last_block + ".mlp_text.");
}

std::string last_block_of(const DualStream& model) {
  if (!model.blocks.empty()) return concat("blocks.", model.blocks.size() - 1);
  return model.out_blocks.empty() ? "mid_block"
                                  : concat("out_blocks.", model.out_blocks.size() - 1);
}

// A net's tensors as a bundle stores them.
template <class Net>
TensorMap stored_form(Net& net, const std::string& prefix,
                      const std::function<bool(const std::string&)>& is_left_out) {
  TensorMap tensors;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
    if (!tensor.defined() || is_left_out(key)) return;
    const at::Tensor plain = tensor.detach().to(at::kCPU, at::kFloat);
    if (is_matrix(key, plain)) {
      put_quantized(tensors, prefix + key, plain);
    } else {
      tensors[prefix + key] = stays_float32(key) ? plain : plain.to(at::kBFloat16);
    }
  });
  return tensors;
}

TensorMap read_stored(const fs::path& folder) {
  TensorMap tensors = read_tensors(open_weights(folder));
  restore_quantized(tensors, folder.string());
  return tensors;
}

// What save_bundle leaves out stands as zeros: nothing reads it.
void add_dead(TensorMap& tensors, const ModelConfig& config) {
  DualStream shapes = make_dual_stream(config);
  const std::string last = last_block_of(shapes);
  for_each_tensor(shapes, "", [&](const std::string& key, at::Tensor& tensor) {
    if (is_dead(key, last) && !is_frozen(key) && !key.starts_with("t_embedder.") &&
        !tensors.contains(key)) {
      tensors[key] = at::zeros(tensor.sizes(), at::kFloat);
    }
  });
}

// Of weights as they are stored: those of a mapped file take no memory until they are used.
Lazy<DualStream> lazy_backbone(DualStream stored, at::Device device, Precision precision) {
  return {[stored = std::move(stored), device, precision] {
    if (!precision.has_int8_weights) return compute_copy(stored, precision.dtype, device);
    DualStream model = stored;
    quantize_blocks(model);
    return compute_copy(model, precision.dtype, device);
  }};
}

// Opened once, to know now that it can be read. Weights are cast as they are used.
Lazy<T5GemmaEncoder> lazy_text_encoder(const fs::path& folder, at::Device device) {
  load_t5gemma(folder);
  return {[=] { return load_t5gemma(folder, device); }};
}

Lazy<Vae> lazy_vae(const fs::path& path, at::Device device) {
  Vae::load(path);
  return {[=] { return Vae::load(path, device); }};
}

}  // namespace

fs::path find_bundle(const std::string& model, const fs::path& program_folder) {
  if (fs::exists(fs::path(model) / kConfigFile)) return model;
  std::string there;
  for (fs::path folder = program_folder; folder != folder.parent_path();
       folder = folder.parent_path()) {
    const fs::path weights = folder / "weights";
    if (fs::exists(weights / model / kConfigFile)) return weights / model;
    if (!fs::is_directory(weights)) continue;
    for (const auto& entry : fs::directory_iterator(weights)) {
      if (fs::exists(entry.path() / kConfigFile)) there += ' ' + entry.path().filename().string();
    }
  }
  throw UserError(concat("model \"", model, "\": no bundled model of that name and no folder with ",
                         kConfigFile, "; bundled:", there.empty() ? " none" : there));
}

fs::path find_weights(const std::string& name, const fs::path& program_folder) {
  if (fs::exists(name)) return name;
  for (fs::path folder = program_folder; folder != folder.parent_path();
       folder = folder.parent_path()) {
    if (fs::exists(folder / "weights" / name)) return folder / "weights" / name;
  }
  throw UserError(concat(name, ": no such file or folder, and not in weights/ either"));
}

Bundle load_bundle(const fs::path& folder, at::Device device, Precision precision) {
  const fs::path config_path = folder / kConfigFile;
  BundleConfig config;
  from_json(config, nlohmann::json::parse(read_file(config_path), nullptr, false),
            config_path.string());
  check_model_config(config.model, config_path.string());
  TensorMap tensors = read_stored(folder);
  add_dead(tensors, config.model);
  DualStream stored = load_dual_stream(config.model, tensors, folder.string());
  return {config, lazy_backbone(std::move(stored), device, precision),
          lazy_text_encoder(folder / "text_encoder", device), load_tokenizer(folder / "tokenizer"),
          lazy_vae(folder / config.vae, device)};
}

void save_bundle(const fs::path& folder, const BundleConfig& config, const DualStream& backbone,
                 const T5GemmaEncoder& text_encoder, const fs::path& tokenizer,
                 int64_t max_shard_bytes) {
  check_user(!fs::exists(folder) || fs::exists(folder / kConfigFile) ||
                 (fs::is_directory(folder) && fs::is_empty(folder)),
             folder.string(), ": is there and is no model, so it is not replaced; name another");
  AtomicFolder atomic(folder);
  const fs::path& partial = atomic.partial();
  make_folder(partial / "text_encoder");
  make_folder(partial / "tokenizer");
  DualStream model = backbone;
  const std::string last = last_block_of(model);
  write_sharded_safetensors(
      partial, "model",
      stored_form(model, "", [&](const std::string& key) { return is_dead(key, last); }),
      max_shard_bytes);
  T5GemmaEncoder encoder = text_encoder;
  const TensorMap text = stored_form(encoder, "encoder.", [](const std::string&) { return false; });
  write_sharded_safetensors(partial / "text_encoder", "model", text, max_shard_bytes);
  write_file_atomically(partial / "text_encoder/config.json",
                        t5gemma_config_json(encoder.config).dump(2));
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    write_file_atomically(partial / "tokenizer" / name, read_file(tokenizer / name));
  write_file_atomically(partial / kConfigFile, to_json(config).dump(2) + "\n");
  atomic.commit();
}

}  // namespace i1
