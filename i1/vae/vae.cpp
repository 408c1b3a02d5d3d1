#include "i1/vae/vae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/round.h>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/io/load_fields.h"
#include "i1/io/weights_file.h"
#include "i1/vae/latent_scaling.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

template <class Net>
void place(Net& net, at::Device device, at::ScalarType dtype) {
  for_each_tensor(net, "", [&](const std::string&, at::Tensor& tensor) {
    tensor = tensor.to(device, dtype);
    if (tensor.dim() == 4) tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
  });
}

void check_autoencoder_config(const AutoencoderConfig& config, const std::string& where) {
  const auto check_size = [&](const char* name, int64_t size) {
    check_user(size > 0 && size <= 8192, where, ": ", name, " is ", size, ", expected 1 to 8192");
  };
  check_size("in_channels", config.in_channels);
  check_size("out_channels", config.out_channels);
  check_size("latent_channels", config.latent_channels);
  check_size("norm_num_groups", config.norm_num_groups);
  check_size("layers_per_block", config.layers_per_block);
  const auto num_levels = static_cast<int64_t>(config.block_out_channels.size());
  check_user(num_levels == 4, where, ": block_out_channels has ", num_levels,
             " entries, expected 4 (a latent for 8 x 8 pixels)");
  for (const int64_t width : config.block_out_channels) {
    check_size("an entry of block_out_channels", width);
    check_user(width % config.norm_num_groups == 0, where, ": block_out_channels ", width,
               " is not a multiple of norm_num_groups ", config.norm_num_groups);
  }
}

// FLUX.2 latents have 32 channels, FLUX.1 latents 16.
const LatentStatistics& statistics_of(const Autoencoder& vae) {
  return vae.config.latent_channels == 16 ? flux1_latent_statistics() : flux2_latent_statistics();
}

}  // namespace

Autoencoder load_autoencoder(const fs::path& folder) {
  const fs::path config_path = folder / "config.json";
  const nlohmann::json stored = nlohmann::json::parse(read_file(config_path), nullptr, false);
  check_user(stored.is_object(), config_path.string(), ": not a JSON object");
  const auto class_name = stored.find("_class_name");
  const std::string kind =
      class_name != stored.end() && class_name->is_string() ? class_name->get<std::string>() : "";
  check_user(kind.starts_with("AutoencoderKL") && kind != "AutoencoderKLQwenImage",
             config_path.string(), ": _class_name is \"", kind,
             "\"; this version reads AutoencoderKLFlux2 and AutoencoderKL");
  nlohmann::json known =
      nlohmann::json::object();  // the file also holds settings of its own library
  AutoencoderConfig config;
  for (const std::string& name : field_names(config)) {
    if (stored.contains(name)) known[name] = stored[name];
  }
  from_json(config, known, config_path.string());
  check_autoencoder_config(config, config_path.string());
  Autoencoder vae = make_autoencoder(config);
  TensorMap tensors = read_tensors(open_weights(folder));
  std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("bn."); });
  load_fields(vae, "", tensors, folder.string());
  return vae;
}

Taef2 load_taef2(const fs::path& path) {
  Taef2 vae = make_taef2();
  load_fields(vae, "", read_safetensors(path).tensors, path.string());
  return vae;
}

Vae Vae::load(const fs::path& path, at::Device device, at::ScalarType dtype) {
  check_user(fs::exists(path), path.string(), ": no such file or folder; expected an autoencoder");
  if (fs::is_directory(path) && fs::exists(path / "config.json")) {
    Autoencoder vae = load_autoencoder(path);
    place(vae, device, dtype);
    return Vae(std::move(vae), dtype);
  }
  const fs::path file = fs::is_directory(path) ? path / "taef2.safetensors" : path;
  Taef2 vae = load_taef2(file);
  place(vae, device, dtype);
  return Vae(std::move(vae), dtype);
}

at::Tensor Vae::encode(const at::Tensor& images, const at::Tensor& noise) const {
  check_user(images.size(2) % 8 == 0 && images.size(3) % 8 == 0, "images are ", images.sizes(),
             "; expected height and width to be multiples of 8");
  const auto prepare = [&](const at::Tensor& x) {
    return x.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  };
  if (const auto* taef2 = std::get_if<Taef2>(&net_)) {
    return i1::encode(taef2->encoder, prepare(images / 2 + 0.5)).to(at::kFloat);
  }
  const Moments moments = i1::encode(std::get<Autoencoder>(net_), prepare(images));
  const at::Tensor raw = noise.defined() ? sample(moments, noise) : moments.mean;
  return normalize_latents(raw.to(at::kFloat), statistics_of(std::get<Autoencoder>(net_)));
}

at::Tensor Vae::decode(const at::Tensor& latents) const {
  const auto prepare = [&](const at::Tensor& x) {
    return x.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  };
  if (const auto* taef2 = std::get_if<Taef2>(&net_)) {
    return i1::decode(taef2->decoder, prepare(latents)).to(at::kFloat) * 2 - 1;
  }
  const Autoencoder& vae = std::get<Autoencoder>(net_);
  return i1::decode(vae, prepare(denormalize_latents(latents, statistics_of(vae)))).to(at::kFloat);
}

int64_t Vae::latent_channels() const {
  const auto* vae = std::get_if<Autoencoder>(&net_);
  return vae != nullptr ? vae->config.latent_channels : 32;
}

std::string Vae::name() const {
  if (std::holds_alternative<Taef2>(net_)) return "TAEF2";
  return latent_channels() == 16 ? "FLUX.1" : "FLUX.2";
}

at::Tensor to_bytes(const at::Tensor& images) {
  return at::round(at::clamp(images / 2 + 0.5, 0, 1) * 255)  // half to even
      .to(at::kByte)
      .permute({0, 2, 3, 1})
      .contiguous();  // (B, H, W, 3)
}

at::Tensor to_pixels(const at::Tensor& bytes) {
  return bytes.permute({0, 3, 1, 2}).to(at::kFloat) / 255 * 2 - 1;  // (B, 3, H, W)
}

}  // namespace i1
