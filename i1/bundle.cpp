#include "i1/bundle.h"

#include <functional>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/core/models_folder.h"
#include "i1/io/row_scales.h"
#include "i1/io/weights_file.h"
#include "i1/model/inference.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "bundle.json";

// A net's tensors as a bundle stores them.
template <class Net>
TensorMap stored_form(Net& net, const std::string& prefix,
                      const std::function<bool(const std::string&)>& is_left_out) {
  TensorMap tensors;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
    if (!tensor.defined() || is_left_out(key)) return;
    const at::Tensor plain = tensor.detach().to(at::kCPU, at::kFloat);
    if (is_matrix(key, plain.sizes())) {
      put_quantized(tensors, prefix + key, plain);
    } else {
      tensors[prefix + key] = stays_float32(key) ? plain : plain.to(at::kBFloat16);
    }
  });
  return tensors;
}

// Some downloads take the place of the whole file first: what has not come is zeros. A matrix of
// zeros does nothing, so no trained model has one. Of most a single row is read.
void check_has_values(const at::Tensor& matrix, const std::string& where, const std::string& key) {
  const bool has_values =
      matrix.numel() == 0 || matrix.select(0, -1).any().item<bool>() || matrix.any().item<bool>();
  check_user(has_values, where, ": tensor \"", key,
             "\" holds only zeros; the file is incomplete, get it again");
}

// Blocks are passed over, they would have to be decoded; of int8 the numbers and scales stand
// apart.
void check_no_blanks(const OpenBackbone& backbone) {
  for (const auto& [key, tensor] : backbone.tensors) {
    const bool is_used = is_matrix(key, tensor.info.shape) && !is_unused(key, backbone.config);
    if (!is_used || !tensor.encoding.empty()) continue;
    const auto pair = backbone.int8_pairs.find(key);
    if (pair == backbone.int8_pairs.end()) {
      check_has_values(tensor.read(), backbone.where, key);
      continue;
    }
    check_has_values(pair->second.read(), backbone.where, key);
    const auto scale = backbone.int8_pairs.find(key + kScaleSuffix);
    if (scale != backbone.int8_pairs.end())
      check_has_values(scale->second.read(), backbone.where, scale->first);
  }
}

// Decodes in the backbone's dtype, as the reference does; TAEF2, which is small, in float32.
Vae load_vae(const fs::path& path, at::Device device, at::ScalarType dtype) {
  Vae vae = Vae::load(path, device, dtype);
  return vae.name() == "TAEF2" && dtype != at::kFloat ? Vae::load(path, device) : vae;
}

// The networks, opened here, so that what cannot be read is known now, and read as they are used.
// Weights of a mapped file take no memory until then.
Bundle assemble(BundleConfig config, OpenBackbone backbone, const fs::path& text_encoder,
                const fs::path& tokenizer, const fs::path& vae, at::Device device,
                Precision precision) {
  check_tensors(backbone);
  check_no_blanks(backbone);
  const BackboneMemory of_backbone = inference_memory(backbone, precision, device);
  ModelMemory memory;
  memory.backbone_mapped = of_backbone.mapped;
  memory.backbone = of_backbone.copied;
  T5GemmaEncoder encoder = load_t5gemma(text_encoder);
  for_each_tensor(encoder, "", [&](const std::string& key, at::Tensor& tensor) {
    memory.text_encoder_mapped += static_cast<int64_t>(tensor.nbytes());
    if (tensor.dim() == 2 || key.ends_with(kScaleSuffix))
      check_has_values(tensor, text_encoder.string(), key);
  });
  const ModelConfig& model = config.model;
  check_user(encoder.config.hidden_size == model.text_width, text_encoder.string(),
             ": a text encoder of width ", encoder.config.hidden_size, "; the backbone takes ",
             model.text_width);
  Tokenizer words = load_tokenizer(tokenizer);
  Vae decoder = load_vae(vae, device, precision.dtype);
  check_user(decoder.latent_channels() == model.latent_channels, vae.string(), ": ", decoder.name(),
             ", whose latents have ", decoder.latent_channels(), " channels; the backbone's have ",
             model.latent_channels);
  return {std::move(config),
          {[=] { return load_for_inference(backbone, precision, device); }},
          {[=] { return load_t5gemma(text_encoder, device); }},
          std::move(words),
          std::move(decoder),
          memory};
}

Bundle load_files(const ModelFiles& files, const fs::path& program_folder, at::Device device,
                  Precision precision) {
  const OpenBackbone backbone = open_backbone(files.model);
  BundleConfig config;
  config.name = fs::path(files.model).stem().string();
  config.model = backbone.config;
  const auto find = [&](const std::string& given, const char* flag, const char* name) {
    try {
      return find_weights(given.empty() ? name : given, program_folder);
    } catch (const UserError& error) {
      throw UserError(concat(flag, " ", error.what(), "; ", files.model, " is a backbone alone",
                             given.empty() ? concat("; i1 download ", name, " fetches it") : ""));
    }
  };
  const fs::path text_encoder = find(files.text_encoder, "--text-encoder", "t5gemma-2b");
  fs::path vae;
  try {
    vae = find(files.vae, "--vae", "flux2-vae");
  } catch (const UserError&) {
    if (!files.vae.empty()) throw;
    vae = find_weights("taef2", program_folder);
  }
  return assemble(config, backbone, text_encoder, text_encoder, vae, device, precision);
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
  if (fs::exists(models_folder() / name)) return models_folder() / name;
  throw UserError(concat(name, ": no such file or folder, and not in weights/ either, nor in ",
                         models_folder().string()));
}

Bundle load_bundle(const fs::path& folder, at::Device device, Precision precision,
                   const fs::path& vae) {
  const fs::path config_path = folder / kConfigFile;
  BundleConfig config;
  from_json(config, nlohmann::json::parse(read_file(config_path), nullptr, false),
            config_path.string());
  check_model_config(config.model, config_path.string());
  OpenBackbone backbone = open_backbone(folder);
  backbone.config = config.model;  // nothing in a bundle is inferred
  return assemble(config, backbone, folder / "text_encoder", folder / "tokenizer",
                  vae.empty() ? folder / config.vae : vae, device, precision);
}

Bundle load_model(const ModelFiles& files, const fs::path& program_folder, at::Device device,
                  Precision precision) {
  const bool is_alone = fs::exists(files.model) && !fs::exists(fs::path(files.model) / kConfigFile);
  if (is_alone) return load_files(files, program_folder, device, precision);
  const fs::path folder = find_bundle(files.model, program_folder);
  check_user(files.text_encoder.empty(), "--text-encoder ", files.text_encoder, ": ", files.model,
             " has a text encoder of its own, trained along");
  return load_bundle(folder, device, precision, files.vae);
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
  write_sharded_safetensors(partial, "model",
                            stored_form(model, "",
                                        [&](const std::string& key) {
                                          return is_frozen(key) || is_unused(key, model.config);
                                        }),
                            max_shard_bytes);
  T5GemmaEncoder encoder = widened(text_encoder);
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
