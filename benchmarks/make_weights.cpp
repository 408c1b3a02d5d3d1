// make_weights PRESET PATH: random weights under the true names, shapes and types of the published
// files, for trying programs at full size without a download. A tensor at a time in memory.
//
//   i1-1B, i1-3B    NAME.safetensors of the backbone at 1024 px (4.2 and 12.7 GB in float32)
//   t5gemma-2b      a Hugging Face folder in shards, with nano's tokenizer (10.5 GB)
//   flux2-vae       a diffusers folder (0.3 GB)
#include <ATen/ops/empty.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include "benchmarks/program.h"
#include "i1/bundle.h"
#include "i1/core/config.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/random.h"
#include "i1/io/conversion.h"
#include "i1/model/weights.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kResolution = 1024;

// Matrices as wide as they are initialised, norms about one (T5Gemma adds it), biases not zero.
at::Tensor random_values(const std::string& key, const std::vector<int64_t>& shape) {
  at::Tensor values = at::empty(shape, at::kFloat);
  int64_t num_inputs = 1;
  for (size_t i = 1; i < shape.size(); ++i) num_inputs *= shape[i];
  const bool is_group_norm = shape.size() == 1 && key.find("norm") != std::string::npos &&
                             key.ends_with(".weight") && !key.ends_with("layernorm.weight");
  const bool is_norm = key.ends_with(".scale") || is_group_norm;
  const double middle = is_norm ? 1 : 0;
  const double width = shape.size() > 1 ? std::sqrt(3.0 / static_cast<double>(num_inputs)) : 0.2;
  fill_uniform(values, RandomStream{1}.child(key), middle - width, middle + width);
  return values;
}

template <class Net>
StoredTensors random_tensors(Net& net, const std::string& prefix, at::ScalarType dtype) {
  StoredTensors tensors;
  for_each_tensor(net, prefix, [&](const std::string& key, at::Tensor& tensor) {
    const std::vector<int64_t> shape = tensor.sizes().vec();
    tensors[key] = {{dtype, shape},
                    [key, shape, dtype] { return random_values(key, shape).to(dtype); }};
  });
  return tensors;
}

void write_backbone(const ModelConfig& config, const fs::path& path, at::ScalarType dtype) {
  DualStream model = make_dual_stream(config);
  StoredTensors tensors = random_tensors(model, "", dtype);
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (is_frozen(key)) tensors[key] = as_stored({{key, tensor}}).at(key);
  });
  write_safetensors(path, tensors, {{"format", "pt"}});
}

void write_text_encoder(const fs::path& path, at::ScalarType dtype, const fs::path& program) {
  T5GemmaEncoder encoder = t5gemma_shapes(t5gemma_2b());
  AtomicFolder folder(path);
  write_sharded_safetensors(folder.partial(), kWeightsStem,
                            random_tensors(encoder, "model.encoder", dtype), kShardBytes,
                            {{"format", "pt"}});
  write_file_atomically(folder.partial() / "config.json",
                        t5gemma_config_json(encoder.config).dump(1) + "\n");
  const fs::path tokenizer = find_bundle("nano", program) / "tokenizer";
  for (const auto& entry : fs::directory_iterator(tokenizer))
    fs::copy(entry.path(), folder.partial() / entry.path().filename());
  folder.commit();
}

void write_autoencoder(const fs::path& path, at::ScalarType dtype) {
  Autoencoder vae = make_autoencoder({});
  nlohmann::ordered_json config = to_json(vae.config);
  config["_class_name"] = "AutoencoderKLFlux2";
  AtomicFolder folder(path);
  write_safetensors(folder.partial() / "diffusion_pytorch_model.safetensors",
                    random_tensors(vae, "", dtype), {{"format", "pt"}});
  write_file_atomically(folder.partial() / "config.json", config.dump(1) + "\n");
  folder.commit();
}

int run(int argc, char** argv) {
  CLI::App app("Writes random weights of full size.");
  std::string preset;
  fs::path path;
  bool is_bfloat16 = false;
  app.add_option("PRESET", preset)
      ->required()
      ->check(CLI::IsMember({"i1-1B", "i1-3B", "t5gemma-2b", "flux2-vae"}));
  app.add_option("PATH", path, "NAME.safetensors for i1, a new folder for the others")->required();
  app.add_flag("--bfloat16", is_bfloat16, "half the size; the released i1 files are float32");
  CLI11_PARSE(app, argc, argv);
  const at::ScalarType dtype = is_bfloat16 ? at::kBFloat16 : at::kFloat;
  if (preset == "t5gemma-2b") {
    write_text_encoder(path, dtype, program_folder());
  } else if (preset == "flux2-vae") {
    write_autoencoder(path, dtype);
  } else {
    write_backbone(preset == "i1-3B" ? preset_i1_3b(kResolution) : preset_xl(kResolution), path,
                   dtype);
  }
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) { return i1::run_program("make_weights", i1::run, argc, argv); }
