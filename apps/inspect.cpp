// i1 inspect FILE: a picture's request and the command that makes it again; the tensors of weights
// in any format that open_weights reads.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/io/image.h"
#include "i1/io/weights_file.h"
#include "i1/request.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

void inspect_picture(const fs::path& path, bool as_json) {
  const MappedFile file(path);
  const TextChunks texts = read_png_texts(file.bytes(), path.string());
  const auto stored = texts.find(kRequestKey);
  check_user(stored != texts.end(), path.string(),
             ": a PNG without a request; it was not made by i1 generate");
  const Request request = request_from_text(stored->second, path.string());
  if (as_json) {
    std::printf("%s\n", to_json(request).dump(1).c_str());
    return;
  }
  const nlohmann::ordered_json json = to_json(request);
  for (const auto& item : json.items()) {
    std::printf("%-18s %s\n", item.key().c_str(), item.value().dump().c_str());
  }
  std::printf("\n%s\n", command_line(request, path.filename().string()).c_str());
}

void inspect_weights(const fs::path& path) {
  const WeightsFile file = open_weights(path);
  if (file.values.is_object()) {
    for (const auto& [key, value] : file.values.items()) {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      std::printf("# %s: %s\n", key.c_str(), text.c_str());
    }
  }
  double num_values = 0, num_bytes = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const TensorInfo& info = tensor.info;
    std::printf("%-64s %-9s %s\n", name.c_str(), c10::toString(info.dtype),
                concat(at::IntArrayRef(info.shape)).c_str());
    const auto bytes = static_cast<double>(count_bytes(info.shape, info.dtype, path.string()));
    num_bytes += bytes;
    num_values += bytes / static_cast<double>(c10::elementSize(info.dtype));
  }
  std::printf("%s: %zu tensors, %.0f values, %.1f MB\n", file.format.c_str(), file.tensors.size(),
              num_values, num_bytes / 1e6);
}

bool is_png(const fs::path& path) {
  if (fs::is_directory(path)) return false;
  const MappedFile file(path);
  constexpr std::string_view kSignature = "\x89PNG";
  return file.bytes().size() >= kSignature.size() &&
         std::memcmp(file.bytes().data(), kSignature.data(), kSignature.size()) == 0;
}

}  // namespace

int run_inspect(int argc, char** argv) {
  CLI::App app("Prints what a picture of i1 generate or a file of weights holds.");
  std::vector<fs::path> paths;
  bool as_json = false;
  app.add_option("FILE", paths, "PNG files; weights: safetensors, .pt, .npz, a folder of shards")
      ->required();
  app.add_flag("--json", as_json, "a picture's request as JSON");
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  for (const fs::path& path : paths) {
    if (paths.size() > 1) std::printf("%s\n", path.c_str());
    if (is_png(path)) {
      inspect_picture(path, as_json);
    } else {
      inspect_weights(path);
    }
  }
  return 0;
}

}  // namespace i1
