// Autoencoders of the published sizes with random weights; TAEF2 with its own.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>

#include <cmath>

#include "i1/core/fields.h"
#include "i1/core/files.h"
#include "i1/io/safetensors.h"
#include "i1/vae/vae.h"

namespace i1 {

// Weights that keep the size of what they are applied to.
void fill_vae(auto& net) {
  for_each_tensor(net, "", [](const std::string&, at::Tensor& tensor) {
    const auto fan_in = static_cast<double>(tensor.numel() / tensor.size(0));
    tensor = at::randn(tensor.sizes()) / std::sqrt(fan_in);
    if (tensor.dim() == 1) tensor = 1 + 0.1 * tensor;
  });
}

void write_vae(auto net, const std::filesystem::path& folder, const std::string& config) {
  fill_vae(net);
  TensorMap tensors;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& t) { tensors[key] = t; });
  write_safetensors(folder / "diffusion_pytorch_model.safetensors", tensors);
  write_file_atomically(folder / "config.json", config);
}

/// name: flux2, qwen or taef2.
inline Vae random_vae(const std::string& name, at::ScalarType dtype) {
  at::manual_seed(0);
  const TemporaryFolder folder("decode_benchmark");
  if (name == "flux2") {
    write_vae(make_autoencoder({}), folder.path(), R"({"_class_name": "AutoencoderKLFlux2"})");
  } else if (name == "qwen") {
    write_vae(make_qwen_image({}), folder.path(), R"({"_class_name": "AutoencoderKLQwenImage"})");
  } else {
    return Vae::load("weights/taef2", at::kCPU, dtype);
  }
  return Vae::load(folder.path(), at::kCPU, dtype);
}

}  // namespace i1
