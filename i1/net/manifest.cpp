#include "i1/net/manifest.h"

#include <algorithm>
#include <set>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/core/nearest.h"
#include "i1/net/http.h"

namespace i1 {
namespace {

using nlohmann::json;

// Letters, digits and . - _ between slashes; nothing that leads out of a folder or hides.
bool is_plain_path(const std::string& path) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/";
  if (path.empty() || path.front() == '/' || path.back() == '/') return false;
  if (path.find_first_not_of(kLetters) != std::string::npos) return false;
  for (const std::filesystem::path& part : std::filesystem::path(path))
    if (part.string().starts_with(".") || part.empty()) return false;
  return path.find("//") == std::string::npos;
}

ManifestFile parse_file(const json& stored, const std::string& where) {
  ManifestFile file;
  from_json(file, stored, where);
  check_user(is_plain_path(file.path), where, ": path \"", file.path,
             "\": expected letters, digits and . - _ between slashes");
  check_user(file.size >= -1, where, ": size ", file.size,
             ": expected bytes, or none where unknown");
  const bool is_digest = file.sha256.size() == 64 &&
                         file.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  check_user(file.sha256.empty() || is_digest, where, ": sha256 \"", file.sha256,
             "\": expected 64 digits 0 to f");
  return file;
}

ManifestItem parse_item(json stored, const std::string& where) {
  check_user(stored.is_object() && stored.contains("files") && stored["files"].is_array() &&
                 !stored["files"].empty(),
             where, ": expected a JSON object with a list \"files\"");
  const json files = stored["files"];
  stored.erase("files");
  ManifestItem item;
  from_json(item, stored, where);
  const std::string of = where + ": " + item.name;
  check_user(is_plain_path(item.name) && item.name.find('/') == std::string::npos, where,
             ": name \"", item.name, "\": expected letters, digits and . - _");
  constexpr const char* kParts[] = {"model", "text_encoder", "vae", "other"};
  check_user(std::find(std::begin(kParts), std::end(kParts), item.part) != std::end(kParts), of,
             ": part \"", item.part, "\": expected model, text_encoder, vae or other");
  origin_of(item.address);
  check_user(item.address.ends_with('/'), of, ": address \"", item.address,
             "\": expected a slash at its end");
  for (const json& file : files) item.files.push_back(parse_file(file, of));
  return item;
}

}  // namespace

Manifest parse_manifest(std::string_view text, const std::string& where) {
  const json list = json::parse(text, nullptr, /*allow_exceptions=*/false);
  check_user(list.is_array() && !list.empty(), where, ": expected a JSON list of items");
  Manifest manifest;
  std::set<std::string> names;
  for (const json& stored : list) {
    manifest.push_back(parse_item(stored, where));
    check_user(names.insert(manifest.back().name).second, where, ": two items are named \"",
               manifest.back().name, "\"");
  }
  return manifest;
}

std::string manifest_text(const Manifest& manifest) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ManifestItem& item : manifest) {
    list.push_back(to_json(item));
    for (const ManifestFile& file : item.files) list.back()["files"].push_back(to_json(file));
  }
  return list.dump(1) + "\n";
}

const ManifestItem& find_item(const Manifest& manifest, const std::string& name) {
  std::vector<std::string> names;
  for (const ManifestItem& item : manifest) {
    if (item.name == name) return item;
    names.push_back(item.name);
  }
  throw UserError(concat("nothing to download is named \"", name, "\"; nearest: \"",
                         nearest(name, names), "\" (i1 download --list)"));
}

int64_t known_bytes(const ManifestItem& item, bool& is_all) {
  int64_t total = 0;
  is_all = true;
  for (const ManifestFile& file : item.files) {
    total += std::max<int64_t>(file.size, 0);
    if (file.size < 0 || file.has_shards) is_all = false;
  }
  return total;
}

std::vector<std::string> shards_of(const ManifestFile& file, const std::filesystem::path& index) {
  const json stored = json::parse(read_file(index), nullptr, /*allow_exceptions=*/false);
  check_user(
      stored.is_object() && stored.contains("weight_map") && stored["weight_map"].is_object(),
      index.string(), ": no object \"weight_map\"; not an index of shards, or damaged");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : stored["weight_map"].items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    check_user(is_plain_path(name) && name.find('/') == std::string::npos, index.string(),
               ": tensor \"", tensor, "\" is in ", shard.dump(), ", which is no file's name");
    const bool is_skipped = !file.skipped.empty() && tensor.find(file.skipped) != std::string::npos;
    if (!is_skipped) shards.insert(name);
  }
  return {shards.begin(), shards.end()};
}

}  // namespace i1
