// i1 inspect FILE: a picture's request and the command that makes it again; the tensors of weights
// in any format that open_weights reads, and the config of a backbone.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/core/config.h"
#include "i1/core/digest.h"
#include "i1/core/files.h"
#include "i1/io/image.h"
#include "i1/model/weights.h"
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

struct Total {
  int64_t num_tensors = 0;
  double num_values = 0, num_bytes = 0;
};

void print_total(const std::string& name, const Total& total) {
  std::printf("%s: %ld tensors, %.0f values, %.1f MB\n", name.c_str(),
              static_cast<long>(total.num_tensors), total.num_values, total.num_bytes / 1e6);
}

void print_tensors(const WeightsFile& file) {
  Total all;
  std::map<std::string, Total> by_type;
  for (const auto& [name, tensor] : file.tensors) {
    const auto& [dtype, shape] = tensor.info;
    const std::string type = tensor.encoding.empty() ? c10::toString(dtype) : tensor.encoding;
    std::printf("%-64s %-9s %s\n", name.c_str(), type.c_str(),
                concat(at::IntArrayRef(shape)).c_str());
    const uint64_t plain_bytes = count_bytes(shape, dtype, file.where);
    for (Total* total : {&all, &by_type[type]}) {
      ++total->num_tensors;
      total->num_values +=
          static_cast<double>(plain_bytes) / static_cast<double>(c10::elementSize(dtype));
      total->num_bytes += static_cast<double>(stored_bytes(tensor, file.where));
    }
  }
  print_total(file.format, all);
  if (by_type.size() > 1)
    for (const auto& [type, total] : by_type) print_total("  " + type, total);
}

void print_hashes(const fs::path& path) {
  std::set<fs::path> files;
  if (fs::is_directory(path)) {
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file()) files.insert(entry.path());
  } else {
    files.insert(path);
  }
  for (const fs::path& file : files)
    std::printf("sha256 %s  %s\n", sha256_of_file(file).c_str(), file.c_str());
}

void inspect_weights(const fs::path& path) {
  const WeightsFile file = open_weights(path);
  if (file.values.is_object()) {
    for (const auto& [key, value] : file.values.items()) {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      std::printf("# %s: %s\n", key.c_str(), text.c_str());
    }
  }
  print_tensors(file);
  if (!holds_backbone(file)) return;
  const ModelConfig config = open_backbone(path).config;
  std::printf("\nan i1 backbone:\n");
  const nlohmann::ordered_json fields = to_json(config);
  for (const auto& field : fields.items())
    std::printf("  %-22s %s\n", field.key().c_str(), field.value().dump().c_str());
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
  bool as_json = false, has_hash = false;
  app.add_option("FILE", paths,
                 "PNG files; weights: safetensors, .pt, .npz, GGUF, a folder of shards")
      ->required();
  app.add_flag("--json", as_json, "a picture's request as JSON");
  app.add_flag("--hash", has_hash, "also the SHA-256 of the file, or of each file of the folder");
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  for (const fs::path& path : paths) {
    if (paths.size() > 1) std::printf("%s\n", path.c_str());
    if (is_png(path)) {
      inspect_picture(path, as_json);
    } else {
      inspect_weights(path);
    }
    if (has_hash) print_hashes(path);
  }
  return 0;
}

}  // namespace i1
