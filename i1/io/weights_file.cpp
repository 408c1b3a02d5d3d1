#include "i1/io/weights_file.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/gguf.h"
#include "i1/io/npz.h"
#include "i1/io/pytorch.h"
#include "i1/io/safetensors.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".safetensors.index.json", kSuffix = ".safetensors";
constexpr const char* kStems[] = {"model", "diffusion_pytorch_model"};
constexpr const char* kNested = "transformer";  // where pipelines of several nets keep this one

void add(WeightsFile& weights, StoredTensors tensors, const WantsTensor& wants) {
  for (auto& [name, tensor] : tensors) {
    if (wants && !wants(name)) continue;
    check_user(weights.tensors.emplace(name, std::move(tensor)).second, weights.where,
               ": tensor \"", name, "\" is in two shards");
  }
}

// The shards that an index names, each tensor in the one it says.
WeightsFile open_index(const fs::path& path, const WantsTensor& wants) {
  const nlohmann::json index = nlohmann::json::parse(read_file(path), nullptr, false);
  check_user(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(),
             path.string(), ": no object \"weight_map\"; not an index of shards, or damaged");
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [name, file] : index["weight_map"].items()) {
    check_user(file.is_string(), path.string(), ": the file of \"", name, "\" is ", file.dump());
    const std::string shard = file.get<std::string>();
    check_user(!shard.empty() && fs::path(shard).filename() == shard, path.string(),
               ": the file of \"", name, "\" is \"", shard,
               "\", expected a name in its own folder");
    if (!wants || wants(name)) shards[shard].push_back(name);
  }
  WeightsFile weights{path.string(), "safetensors", {}, nullptr};
  for (const auto& [shard, names] : shards) {
    const fs::path file = path.parent_path() / shard;
    auto [tensors, metadata] = parse_safetensors(map_file(file));
    if (!metadata.empty()) weights.values = metadata;
    for (const std::string& name : names) {
      const auto found = tensors.find(name);
      check_user(found != tensors.end(), file.string(), ": no tensor \"", name,
                 "\", which its index expects there");
      weights.tensors[name] = std::move(found->second);
    }
  }
  return weights;
}

// "model-00002-of-00003.safetensors": its number of shards, 0 for other names.
int64_t count_of_shard(const std::string& name, const std::string& stem) {
  int64_t number = 0, count = 0;
  int end = 0;
  const std::string pattern = stem + "-%5ld-of-%5ld.safetensors%n";
  const bool fits = std::sscanf(name.c_str(), pattern.c_str(), &number, &count, &end) == 2 &&
                    static_cast<size_t>(end) == name.size();
  return fits ? count : 0;
}

WeightsFile open_shards(const fs::path& folder, const std::string& stem,
                        const std::vector<fs::path>& shards, int64_t expected,
                        const WantsTensor& wants) {
  check_user(static_cast<int64_t>(shards.size()) == expected, folder.string(), ": ", shards.size(),
             " shards ", stem, "-*.safetensors, expected ", expected, "; incomplete");
  WeightsFile weights{folder.string(), "safetensors", {}, nullptr};
  for (const fs::path& shard : shards) {
    auto [tensors, metadata] = parse_safetensors(map_file(shard));
    if (!metadata.empty()) weights.values = metadata;
    add(weights, std::move(tensors), wants);
  }
  return weights;
}

// The one .safetensors file of a folder; empty where there are more or none.
fs::path only_safetensors(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == kSuffix) files.push_back(entry.path());
  return files.size() == 1 ? files.front() : fs::path();
}

WeightsFile open_folder(const fs::path& folder, const WantsTensor& wants) {
  for (const std::string stem : kStems) {
    const fs::path index = folder / (stem + std::string(kIndexSuffix));
    const fs::path single = folder / (stem + std::string(kSuffix));
    if (fs::exists(index)) return open_index(index, wants);
    if (fs::exists(single)) return parse_weights(map_file(single), wants);
    std::set<fs::path> shards;
    int64_t expected = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const int64_t count = count_of_shard(entry.path().filename().string(), stem);
      if (count > 0) shards.insert(entry.path());
      expected = std::max(expected, count);
    }
    if (expected > 0)
      return open_shards(folder, stem, {shards.begin(), shards.end()}, expected, wants);
  }
  if (const fs::path single = only_safetensors(folder); !single.empty())
    return parse_weights(map_file(single), wants);
  if (fs::is_directory(folder / kNested)) return open_folder(folder / kNested, wants);
  throw UserError(folder.string() +
                  ": no weights in this folder; expected model.safetensors, "
                  "diffusion_pytorch_model.safetensors, shards of either, or one other "
                  ".safetensors file");
}

// What torch.save wrote before its files were archives.
bool is_old_pytorch(std::span<const std::byte> bytes) {
  constexpr std::string_view kMagic("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9", 9);
  return bytes.size() >= kMagic.size() &&
         std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

}  // namespace

WeightsFile parse_weights(const FileBytes& file, const WantsTensor& wants) {
  WeightsFile weights{file.where, "safetensors", {}, nullptr};
  check_user(!is_old_pytorch(file.bytes), file.where,
             ": a PyTorch file of before version 1.6; save it again with a newer torch.save");
  if (looks_like_gguf(file.bytes)) {
    GgufFile stored = parse_gguf(file);
    weights.format = "GGUF";
    add(weights, std::move(stored.tensors), wants);
    weights.values = std::move(stored.values);
    return weights;
  }
  if (!looks_like_zip(file.bytes)) {
    StoredSafetensors stored = parse_safetensors(file);
    add(weights, std::move(stored.tensors), wants);
    if (!stored.metadata.empty()) weights.values = stored.metadata;
    return weights;
  }
  const auto archive = std::make_shared<const ZipArchive>(file);
  if (is_pytorch(*archive)) {
    PyTorchFile stored = parse_pytorch(archive, wants);
    weights.format = "PyTorch";
    weights.tensors = std::move(stored.tensors);
    weights.values = std::move(stored.values);
  } else {
    weights.format = "NumPy";
    weights.tensors = parse_npz(archive, wants);
  }
  return weights;
}

WeightsFile open_weights(const fs::path& path, const WantsTensor& wants) {
  if (fs::is_directory(path)) return open_folder(path, wants);
  if (path.string().ends_with(kIndexSuffix)) return open_index(path, wants);
  return parse_weights(map_file(path), wants);
}

TensorMap read_tensors(const WeightsFile& weights, const std::string& prefix) {
  TensorMap tensors;
  for (auto at = weights.tensors.lower_bound(prefix);
       at != weights.tensors.end() && at->first.starts_with(prefix); ++at) {
    tensors[at->first.substr(prefix.size())] = at->second.read();
  }
  return tensors;
}

}  // namespace i1
