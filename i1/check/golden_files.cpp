#include "i1/check/golden_files.h"

#include <algorithm>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/safetensors.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uintmax_t kMaxJsonBytes = 8 << 20;

json parse_whole(const fs::path& path) {
  try {
    return json::parse(read_file(path));
  } catch (const json::parse_error& error) {
    const std::string text = error.what();  // "[json.exception.parse_error.101] parse error at ..."
    const size_t begin = text.find("] ");
    throw UserError(concat(path.string(), ": damaged or cut off, expected a whole JSON file: ",
                           begin == std::string::npos ? text : text.substr(begin + 2)));
  }
}

bool is_file(const fs::path& path, const char* extension) {
  return path.extension() == extension && fs::is_regular_file(path);
}

}  // namespace

json read_json(const fs::path& path, CheckReport& report) {
  report.use(path);
  return parse_whole(path);
}

TensorMap read_golden(const fs::path& path, CheckReport& report) {
  report.use(path);
  return read_safetensors(path).tensors;
}

std::map<std::string, json> entries_of(const json& value, const std::string& where) {
  check_user(value.is_object(), where, ": found a JSON ", value.type_name(),
             ", expected an object with an entry a case");
  return value.get<std::map<std::string, json>>();
}

int64_t count_of(const json& entry, const char* key, int64_t least, int64_t most,
                 const std::string& where) {
  const json& value = entry.at(key);
  check_user(value.is_number_integer() && value >= least && value <= most, where, ": \"", key,
             "\" is ", value.dump(), ", expected a whole number, ", least, " to ", most);
  return value.get<int64_t>();
}

const at::Tensor& take(const TensorMap& tensors, const std::string& key, const std::string& where) {
  const auto found = tensors.find(key);
  check_user(found != tensors.end(), where, ": no tensor \"", key, "\"");
  return found->second;
}

void check_whole(const fs::path& path) {
  if (is_file(path, ".json")) parse_whole(path);
  if (is_file(path, ".safetensors")) parse_safetensors(map_file(path));
}

json peek_json(const fs::path& path) {
  if (!is_file(path, ".json") || fs::file_size(path) > kMaxJsonBytes) return nullptr;
  json stored = json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  return stored.is_discarded() ? json(nullptr) : stored;
}

bool has_keys(const json& value, const std::vector<const char*>& keys) {
  const json& object = value.is_array() && !value.empty() ? value[0] : value;
  return object.is_object() && std::all_of(keys.begin(), keys.end(),
                                           [&](const char* key) { return object.contains(key); });
}

bool TensorNames::has(const std::string& name) const {
  return std::binary_search(names.begin(), names.end(), name);
}

TensorNames peek_tensors(const fs::path& path) {
  TensorNames found;
  if (!is_file(path, ".safetensors")) return found;
  try {
    const StoredSafetensors stored = parse_safetensors(map_file(path));
    for (const auto& [name, tensor] : stored.tensors) found.names.push_back(name);
    found.metadata = stored.metadata;
  } catch (const UserError&) {
    // damaged: no golden's
  }
  return found;
}

}  // namespace i1
