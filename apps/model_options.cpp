#include "apps/model_options.h"

#include "apps/options.h"
#include "i1/core/error.h"
#include "i1/net/store.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// The path of what `i1 download` fetched under this name; other names stay.
std::string find_part(const std::string& name) {
  for (const ManifestItem& item : official_manifest()) {
    if (item.name != name || fs::exists(name)) continue;
    const std::string get_it = concat("i1 download ", name, " fetches it");
    fs::path folder;
    try {
      folder = find_weights(name, program_folder());
    } catch (const UserError& error) {
      throw UserError(concat(error.what(), "; ", get_it));
    }
    const std::string missing = missing_file(item, folder);
    check_user(missing.empty(), folder.string(), ": ", missing, " is not there, or not whole; ",
               get_it);
    return usable_path(item, folder);
  }
  return name;
}

}  // namespace

void add_model_options(CLI::App& app, Request& request) {
  app.add_option("--model", request.model,
                 "a bundled or downloaded model's name, its folder, or weights of a backbone: "
                 ".pt, .npz, safetensors")
      ->capture_default_str();
  app.add_option("--text-encoder", request.text_encoder,
                 "of a backbone alone: a T5Gemma folder; default: t5gemma-2b, where downloaded");
  app.add_option("--vae", request.vae,
                 "another autoencoder, or a downloaded one's name: FLUX.2, FLUX.1, Qwen-Image, "
                 "TAEF2");
}

Bundle load_model(const Request& request, at::Device device, Precision precision) {
  const ModelFiles files{find_part(request.model), find_part(request.text_encoder),
                         find_part(request.vae)};
  return load_model(files, program_folder(), device, precision);
}

}  // namespace i1
