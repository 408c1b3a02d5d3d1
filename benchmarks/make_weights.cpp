// make_weights PRESET FILE: random weights under the true names, shapes and types of i1-1B or i1-3B
// at 1024 px, for trying programs on files of full size (4.2 and 12.7 GB) that need no download. A
// tensor at a time in memory.
#include <ATen/ops/empty.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include "i1/core/error.h"
#include "i1/core/random.h"
#include "i1/model/weights.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kResolution = 1024;

// Matrices as wide as they are initialised, norms about one, biases not zero.
at::Tensor random_values(const std::string& key, const std::vector<int64_t>& shape) {
  at::Tensor values = at::empty(shape, at::kFloat);
  int64_t num_inputs = 1;
  for (size_t i = 1; i < shape.size(); ++i) num_inputs *= shape[i];
  const bool is_norm = key.ends_with(".scale");
  const double middle = is_norm ? 1 : 0;
  const double width = shape.size() > 1 ? std::sqrt(3.0 / static_cast<double>(num_inputs)) : 0.2;
  fill_uniform(values, RandomStream{1}.child(key), middle - width, middle + width);
  return values;
}

int run(int argc, char** argv) {
  CLI::App app("Writes a file of random weights of full size.");
  std::string preset;
  fs::path path;
  bool is_bfloat16 = false;
  app.add_option("PRESET", preset)->required()->check(CLI::IsMember({"i1-1B", "i1-3B"}));
  app.add_option("FILE", path, "NAME.safetensors")->required();
  app.add_flag("--bfloat16", is_bfloat16, "half the size; the released files are float32");
  CLI11_PARSE(app, argc, argv);
  DualStream model =
      make_dual_stream(preset == "i1-3B" ? preset_i1_3b(kResolution) : preset_xl(kResolution));
  StoredTensors tensors;
  TensorMap tables;
  const at::ScalarType dtype = is_bfloat16 ? at::kBFloat16 : at::kFloat;
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (is_frozen(key)) {
      tables[key] = tensor;
      return;
    }
    const std::vector<int64_t> shape = tensor.sizes().vec();
    tensors[key] = {{dtype, shape},
                    [key, shape, dtype] { return random_values(key, shape).to(dtype); }};
  });
  tensors.merge(as_stored(tables));
  uint64_t num_bytes = 0;
  write_safetensors(path, tensors, {{"format", "pt"}}, [&](uint64_t bytes) { num_bytes += bytes; });
  std::printf("%s: %zu tensors, %.1f MB\n", path.c_str(), tensors.size(),
              static_cast<double>(num_bytes) / 1e6);
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) {
  try {
    return i1::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_weights: %s\n", error.what());
    return 1;
  }
}
