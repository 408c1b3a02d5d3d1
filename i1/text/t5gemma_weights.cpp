#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <concepts>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/core/fields.h"
#include "i1/core/files.h"
#include "i1/io/load_fields.h"
#include "i1/io/row_scales.h"
#include "i1/io/safetensors.h"
#include "i1/io/weights_file.h"
#include "i1/text/t5gemma.h"

namespace i1 {
namespace fs = std::filesystem;

namespace {

// Calls visit(key, weight) for every weight below `object`.
template <class T, class Visit>
void for_each_weight(T& object, const std::string& key, const Visit& visit) {
  if constexpr (std::same_as<T, T5GemmaWeight>) {
    visit(key, object);
  } else if constexpr (HasFields<T>) {
    T::fields(object, [&](const std::string& name, auto& member) {
      for_each_weight(member, key.empty() ? name : key + "." + name, visit);
    });
  } else {
    for (size_t i = 0; i < object.size(); ++i)
      for_each_weight(object[i], key + "." + std::to_string(i), visit);
  }
}

}  // namespace

T5GemmaEncoder t5gemma_shapes(const T5GemmaConfig& config) {
  const auto empty = [](std::initializer_list<int64_t> shape) {
    return T5GemmaWeight{at::empty(shape, at::TensorOptions().device(at::kMeta))};
  };
  const int64_t D = config.hidden_size, F = config.intermediate_size;
  const int64_t q = config.num_attention_heads * config.head_dim;
  const int64_t kv = config.num_key_value_heads * config.head_dim;
  T5GemmaEncoder encoder;
  encoder.config = config;
  encoder.embed_tokens = empty({config.vocab_size, D});
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    encoder.layers.push_back({{empty({q, D}), empty({kv, D}), empty({kv, D}), empty({D, q})},
                              {empty({F, D}), empty({F, D}), empty({D, F})},
                              empty({D}),
                              empty({D}),
                              empty({D}),
                              empty({D})});
  }
  encoder.norm = empty({D});
  return encoder;
}

T5GemmaEncoder init_t5gemma(const T5GemmaConfig& config, const RandomStream& stream) {
  check_t5gemma_config(config, "text encoder");
  T5GemmaEncoder encoder = t5gemma_shapes(config);
  for_each_tensor(encoder, "", [&](const std::string& key, at::Tensor& tensor) {
    // Both kinds of matrix end in the number that their std comes from: fan_in, and D.
    tensor = tensor.dim() == 1 ? at::zeros(tensor.sizes(), at::kFloat)
                               : normal_tensor(tensor.sizes(), stream.child(key)) /
                                     std::sqrt(static_cast<double>(tensor.size(1)));
  });
  return encoder;
}

T5GemmaEncoder load_t5gemma(const fs::path& folder, at::Device device) {
  constexpr const char* kExpected = "; expected a folder of T5Gemma: config.json and safetensors";
  check_user(fs::is_directory(folder), folder.string(),
             fs::exists(folder) ? ": is a file" : ": no such folder", kExpected);
  check_user(fs::exists(folder / "config.json"), folder.string(), ": no config.json in this folder",
             kExpected);
  T5GemmaEncoder encoder = t5gemma_shapes(read_t5gemma_config(folder / "config.json"));
  const TensorMap tensors = read_tensors(open_weights(
      folder, [](const std::string& key) { return key.find("decoder.") == std::string::npos; }));
  const bool has_model = tensors.contains("model.encoder.embed_tokens.weight");
  const std::string prefix = has_model ? "model.encoder." : "encoder.";
  for_each_weight(encoder, "", [&](const std::string& key, T5GemmaWeight& weight) {
    if (tensors.contains(prefix + key + ".weight" + kScaleSuffix))
      weight.row_scale = at::empty({weight.weight.size(0)}, at::TensorOptions().device(at::kMeta));
  });
  load_fields(encoder, prefix, tensors, folder.string());
  for_each_weight(encoder, "", [&](const std::string& key, T5GemmaWeight& weight) {
    const at::ScalarType dtype = weight.weight.scalar_type();
    check_user(at::isFloatingType(dtype) || (dtype == at::kChar && weight.row_scale),
               folder.string(), ": tensor \"", key, ".weight\" is ", dtype,
               ", expected floating-point numbers");
    weight.weight = weight.weight.to(device);
    if (weight.row_scale) weight.row_scale = weight.row_scale->to(device, at::kFloat);
  });
  return encoder;
}

T5GemmaEncoder widened(T5GemmaEncoder encoder) {
  for_each_weight(encoder, "", [](const std::string&, T5GemmaWeight& weight) {
    if (weight.row_scale) weight = {values_of(weight, at::kFloat)};
  });
  return encoder;
}

void save_t5gemma(const T5GemmaEncoder& encoder, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check_machine(!error, folder.string(), ": cannot be created: ", error.message());
  TensorMap tensors;
  T5GemmaEncoder copy = encoder;  // shares the values; fields need a mutable object
  for_each_tensor(copy, "encoder", [&](const std::string& key, at::Tensor& tensor) {
    tensors.emplace(key, tensor.detach());
  });
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  write_file_atomically(folder / "config.json", t5gemma_config_json(encoder.config).dump(1) + "\n");
}

}  // namespace i1
