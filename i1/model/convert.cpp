#include "i1/model/convert.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "i1/core/config.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/nearest.h"
#include "i1/io/block_formats.h"
#include "i1/io/conversion.h"
#include "i1/io/gguf.h"
#include "i1/io/row_scales.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// What --dtype names. Numbers of GGUF's general.file_type.
struct Kind {
  std::string name;
  uint32_t gguf_file_type;
  std::string encoding = {};  // of the matrices
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"float32", 0}, {"bfloat16", 32}, {"int8", 0}, {"q8_0", 7, "Q8_0"}, {"q4_0", 2, "Q4_0"}};
  return all;
}

const Kind* find_kind(const std::string& name) {
  if (name.empty()) return nullptr;
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) {
    if (kind.name == name) return &kind;
    names.push_back(kind.name);
  }
  throw UserError(concat("--dtype ", name, ": expected float32, bfloat16, int8, q8_0 or q4_0; ",
                         "nearest: ", nearest(name, names)));
}

// Values.

void put(StoredTensors& target, const std::string& key, const StoredTensor& source,
         const Kind* kind, const std::string& where) {
  const at::ScalarType stored = source.info.dtype;
  const bool is_kept = is_frozen(key) || stays_float32(key);  // never below float32
  const bool is_small = kind != nullptr && is_matrix(key, source.info.shape);
  const auto checked_for = [&](double largest) { return checked_values(source, where, largest); };
  constexpr double kAny = std::numeric_limits<float>::max();
  const double largest_bfloat16 = static_cast<double>(std::numeric_limits<c10::BFloat16>::max());
  if (is_small && kind->name == "int8") {
    put_quantized(target, key, checked_for(kAny));
  } else if (is_small && !kind->encoding.empty() && fits_blocks(source.info.shape)) {
    target[key] = as_blocks(checked_for(largest_in_blocks(kind->encoding)), kind->encoding);
  } else if ((is_small && !kind->encoding.empty()) ||
             (kind != nullptr && kind->name == "bfloat16" && !is_kept)) {
    target[key] = as_dtype(checked_for(largest_bfloat16), at::kBFloat16);
  } else {
    const bool is_as_stored = kind == nullptr && stored != at::kDouble;
    target[key] = as_dtype(checked_for(kAny), is_as_stored ? stored : at::kFloat);
  }
}

// The target's place.

bool is_backbone(const fs::path& path) {
  try {
    return holds_backbone(open_weights(path));
  } catch (const UserError&) {
    return false;
  }
}

void check_target(const ConvertPlan& plan, const fs::path& source) {
  const fs::path& target = plan.target;
  check_places(source, target, plan.is_folder);
  if (!fs::exists(target)) return;
  check_user(fs::is_directory(target) == plan.is_folder, target.string(),
             plan.is_folder
                 ? ": is a file, expected a folder; for one file name it .safetensors or "
                   ".gguf"
                 : ": is a folder, expected a file");
  if (plan.is_folder) {
    if (fs::is_empty(target)) return;
    for (const auto& entry : fs::directory_iterator(target))
      check_user(is_weights_name(entry.path().filename().string()), target.string(), ": holds ",
                 entry.path().filename().string(),
                 ", which is not of such weights, so it is not replaced; name another folder");
  }
  check_user(is_backbone(target), target.string(),
             ": is there and holds no backbone, so it is not replaced; name another target");
}

void choose_format(ConvertPlan& plan, const ConvertOptions& options) {
  const std::string extension = plan.target.extension().string();
  check_user(options.format.empty() || options.format == "safetensors" || options.format == "gguf",
             "--format ", options.format, ": expected safetensors or gguf");
  plan.is_gguf = options.format.empty() ? extension == ".gguf" : options.format == "gguf";
  plan.is_folder = !plan.is_gguf && extension != ".safetensors";
  check_user(plan.is_gguf || extension != ".gguf", plan.target.string(),
             ": --format safetensors, but the name ends in .gguf");
  check_user(!plan.is_gguf || extension != ".safetensors", plan.target.string(),
             ": --format gguf, but the name ends in .safetensors");
  check_user(plan.is_folder || options.max_shard_bytes == 0, plan.target.string(),
             ": --max-shard-size splits a folder of safetensors; name a folder");
  const Kind* kind = find_kind(options.dtype);
  const bool is_blocks = kind != nullptr && !kind->encoding.empty();
  check_user(!is_blocks || plan.is_gguf, "--dtype ", options.dtype,
             " is stored in GGUF only; use --format gguf, or --dtype int8");
  check_user(!plan.is_gguf || options.dtype != "int8",
             "--dtype int8 is stored in safetensors only; use --dtype q8_0 for GGUF");
}

// GGUF's own keys, so that other programs list the model, and our config.
nlohmann::ordered_json gguf_metadata(const ConvertPlan& plan) {
  const ModelConfig& config = plan.config;
  uint32_t file_type = 0;
  bool has_blocks = false;
  for (const auto& [key, tensor] : plan.tensors) {
    if (!is_matrix(key, tensor.info.shape) || tensor.info.shape.size() != 2) continue;
    has_blocks |= !tensor.encoding.empty();
    for (const Kind& kind : kinds()) {
      const bool is_this = tensor.encoding.empty()
                               ? tensor.info.dtype == at::kBFloat16 && kind.name == "bfloat16"
                               : tensor.encoding == kind.encoding;
      if (is_this) file_type = kind.gguf_file_type;
    }
  }
  nlohmann::ordered_json values = {
      {"general.architecture", "i1"},
      {"general.type", "model"},
      {"general.alignment", 32},
      {"general.file_type", file_type},
      {"i1.block_count", config.depth},
      {"i1.embedding_length", config.hidden_size},
      {"i1.feed_forward_length", config.ffn_size()},
      {"i1.attention.head_count", config.num_heads},
      {"i1.context_length", config.num_text_tokens},
      {kConfigKey, to_json(config).dump()},
  };
  if (has_blocks) values["general.quantization_version"] = 2;
  return values;
}

}  // namespace

StoredTensors with_tables(const OpenBackbone& backbone) {
  StoredTensors tensors = backbone.tensors;
  DualStream model = make_dual_stream(backbone.config);
  TensorMap tables;
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    const auto found = tensors.find(key);
    const bool is_whole = found != tensors.end() && found->second.info.shape == tensor.sizes() &&
                          c10::elementSize(found->second.info.dtype) >= sizeof(float);
    if (is_frozen(key) && !is_whole) tables[key] = tensor;
  });
  for (const auto& [key, table] : as_stored(tables)) tensors[key] = table;
  return tensors;
}

ConvertPlan plan_convert(const OpenBackbone& source, const fs::path& source_path,
                         const fs::path& target, const ConvertOptions& options) {
  check_user(!target.empty(), "the name of the target is empty");
  ConvertPlan plan;
  plan.target = target.has_filename() ? target : target.parent_path();
  choose_format(plan, options);
  check_target(plan, source_path);
  check_tensors(source);
  plan.config = source.config;
  plan.max_shard_bytes = options.max_shard_bytes > 0 ? options.max_shard_bytes : kShardBytes;
  const Kind* kind = find_kind(options.dtype);
  for (const auto& [key, tensor] : with_tables(source))
    put(plan.tensors, key, tensor, kind, source.where + ": tensor \"" + key + "\"");
  for (const auto& [key, tensor] : plan.tensors) plan.num_bytes += stored_bytes(tensor, key);
  return plan;
}

void write_converted(const ConvertPlan& plan) {
  check_space(plan.target, plan.num_bytes);
  const TensorWritten written = conversion_progress(plan.num_bytes);
  const Metadata metadata = {{"format", "pt"}, {kConfigKey, to_json(plan.config).dump()}};
  if (plan.is_gguf) {
    write_gguf(plan.target, plan.tensors, gguf_metadata(plan), written);
  } else if (plan.is_folder) {
    AtomicFolder folder(plan.target);
    write_sharded_safetensors(folder.partial(), kWeightsStem, plan.tensors, plan.max_shard_bytes,
                              metadata, written);
    folder.commit();
  } else {
    write_safetensors(plan.target, plan.tensors, metadata, written);
  }
}

}  // namespace i1
