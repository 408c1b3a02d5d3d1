#include "i1/text/convert.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/conversion.h"
#include "i1/io/load_fields.h"
#include "i1/io/row_scales.h"
#include "i1/io/weights_file.h"
#include "i1/text/t5gemma.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& tokenizer_files() {
  static const std::vector<std::string> names = {"tokenizer.json", "tokenizer.model",
                                                 "tokenizer_config.json", "special_tokens_map.json",
                                                 "added_tokens.json"};
  return names;
}

bool is_ours(const std::string& name) {
  const std::vector<std::string>& copied = tokenizer_files();
  return name == "config.json" || std::find(copied.begin(), copied.end(), name) != copied.end() ||
         is_weights_name(name);
}

void check_target(const fs::path& source, const fs::path& target) {
  const std::string extension = target.extension().string();
  check_user(extension != ".safetensors" && extension != ".gguf", target.string(),
             ": a text encoder is written as a folder of safetensors with its config and "
             "tokenizer; name a folder");
  check_places(source, target, /*is_folder=*/true);
  if (!fs::exists(target)) return;
  check_user(fs::is_directory(target), target.string(), ": is a file, expected a folder");
  if (fs::is_empty(target)) return;
  for (const auto& entry : fs::directory_iterator(target))
    check_user(is_ours(entry.path().filename().string()), target.string(), ": holds ",
               entry.path().filename().string(),
               ", which is not of a text encoder, so it is not replaced; name another folder");
  check_user(holds_t5gemma(target), target.string(),
             ": is there and holds no T5Gemma, so it is not replaced; name another target");
}

// The encoder's tensors without their prefix, int8 as float32, checked against the config.
StoredTensors open_encoder(const fs::path& folder, const T5GemmaConfig& config) {
  const WeightsFile file = open_weights(
      folder, [](const std::string& key) { return key.find("decoder.") == std::string::npos; });
  const bool has_model = file.tensors.contains("model.encoder.embed_tokens.weight");
  const std::string prefix = has_model ? "model.encoder." : "encoder.";
  StoredTensors tensors;
  for (const auto& [key, tensor] : file.tensors)
    if (key.starts_with(prefix)) tensors[key.substr(prefix.size())] = tensor;
  restore_quantized(tensors, folder.string());
  T5GemmaEncoder encoder = t5gemma_shapes(config);
  load_fields(encoder, "", shapes_of(tensors, folder.string()), folder.string());
  return tensors;
}

// Norm weights are few, and differences from 1: they stay float32.
void put(StoredTensors& target, const std::string& key, const StoredTensor& source,
         const std::string& dtype, const std::string& where) {
  const bool is_matrix = source.info.shape.size() == 2;
  const bool is_bfloat16 = dtype == "bfloat16" && is_matrix;
  const double largest = is_bfloat16
                             ? static_cast<double>(std::numeric_limits<c10::BFloat16>::max())
                             : static_cast<double>(std::numeric_limits<float>::max());
  const StoredTensor checked = checked_values(source, where, largest);
  if (dtype == "int8" && is_matrix) {
    put_quantized(target, key, checked);
  } else if (dtype.empty() && source.info.dtype != at::kDouble) {
    target[key] = checked;
  } else {
    target[key] = as_dtype(checked, is_bfloat16 ? at::kBFloat16 : at::kFloat);
  }
}

}  // namespace

bool holds_t5gemma(const fs::path& folder) {
  if (!fs::is_regular_file(folder / "config.json")) return false;
  const nlohmann::json config =
      nlohmann::json::parse(read_file(folder / "config.json"), nullptr, false);
  if (!config.is_object()) return false;
  const std::string type = config.value("model_type", nlohmann::json("")).dump();
  return type.find("t5_gemma") != std::string::npos || type.find("t5gemma") != std::string::npos;
}

T5GemmaConvertPlan plan_convert_t5gemma(const fs::path& source, const fs::path& target,
                                        const std::string& dtype, int64_t max_shard_bytes) {
  check_user(dtype.empty() || dtype == "float32" || dtype == "bfloat16" || dtype == "int8",
             "--dtype ", dtype, ": a text encoder is written in float32, bfloat16 or int8");
  check_user(!target.empty(), "the name of the target is empty");
  T5GemmaConvertPlan plan;
  plan.target = target.has_filename() ? target : target.parent_path();
  check_target(source, plan.target);
  plan.config = read_t5gemma_config(source / "config.json");
  for (const auto& [key, tensor] : open_encoder(source, plan.config)) {
    put(plan.tensors, "encoder." + key, tensor, dtype,
        concat(source.string(), ": tensor \"", key, "\""));
  }
  for (const auto& [key, tensor] : plan.tensors) plan.num_bytes += stored_bytes(tensor, key);
  for (const std::string& name : tokenizer_files())
    if (fs::exists(source / name)) plan.copied.push_back(source / name);
  plan.max_shard_bytes = max_shard_bytes > 0 ? max_shard_bytes : kShardBytes;
  return plan;
}

void write_converted(const T5GemmaConvertPlan& plan) {
  check_space(plan.target, plan.num_bytes);
  AtomicFolder folder(plan.target);
  write_sharded_safetensors(folder.partial(), kWeightsStem, plan.tensors, plan.max_shard_bytes,
                            {{"format", "pt"}}, conversion_progress(plan.num_bytes));
  write_file_atomically(folder.partial() / "config.json",
                        t5gemma_config_json(plan.config).dump(1) + "\n");
  for (const fs::path& file : plan.copied)
    write_file_atomically(folder.partial() / file.filename(), read_file(file));
  folder.commit();
}

}  // namespace i1
