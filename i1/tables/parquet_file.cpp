#include "i1/tables/parquet_file.h"

#include <algorithm>
#include <filesystem>

#include "i1/core/error.h"
#include "i1/net/http_file.h"
#include "i1/tables/addresses.h"
#include "i1/tables/arrow_library.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> find_local(const fs::path& path) {
  check_user(fs::exists(path), path.string(),
             ": no such file or folder; expected Parquet files or the address of some");
  if (!fs::is_directory(path)) return {path.string()};
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file() && entry.path().extension() == ".parquet")
      found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  std::vector<std::string> addresses;
  for (const fs::path& file : found) addresses.push_back(file.string());
  return addresses;
}

void add_values(const json& value, std::string_view name, std::vector<const json*>& found) {
  if (value.is_null()) return;
  if (value.is_array()) {
    for (const json& one : value) add_values(one, name, found);
  } else if (name.empty()) {
    found.push_back(&value);
  } else if (value.is_object()) {
    // A name may hold points itself: "image.bytes" is a field, or bytes of the field image.
    for (const auto& [field, inner] : value.items()) {
      if (!name.starts_with(field)) continue;
      if (name.size() == field.size()) add_values(inner, "", found);
      if (name.size() > field.size() && name[field.size()] == '.')
        add_values(inner, name.substr(field.size() + 1), found);
    }
  }
}

}  // namespace

std::unique_ptr<ParquetFile> open_parquet(const std::string& address) {
  const ArrowLibrary& library = arrow_library();
  const std::string where = shown_address(address);
  if (!is_http(address)) return library.open(address, where, nullptr);
  const auto file = std::make_shared<HttpFile>(address);
  const ByteSource bytes{
      file->size(), [file](int64_t offset, std::span<std::byte> to) { file->read(offset, to); }};
  return library.open(address, where, &bytes);
}

std::vector<std::string> find_parquet(const std::string& address) {
  if (is_http(address)) return {address};
  const std::vector<std::string> found = is_remote(address)
                                             ? arrow_library().list(address, shown_address(address))
                                             : find_local(address);
  check_user(!found.empty(), shown_address(address), ": no .parquet file in this folder");
  return found;
}

std::vector<const json*> values_at(const json& row, const std::string& name) {
  std::vector<const json*> found;
  add_values(row, name, found);
  return found;
}

}  // namespace i1
