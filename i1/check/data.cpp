#include "i1/check/data.h"

#include "i1/check/data_cases.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/digest.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uintmax_t kMaxBytes = 8 << 20;

// A format is known by keys that its object, or the first object of its list, has.
struct Format {
  std::vector<const char*> keys;
  void (*run)(const DataGolden& golden);
};

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {{"file", "ok", "note"}, check_images},
      {{"columns", "rows"}, check_sizes},
      {{"float32_bits_of_0_to_255"}, check_value_range},
      {{"shard", "offset", "payload_bytes", "image_rgb_sha256"}, check_record_content},
      {{"file", "layer", "good_records"}, check_damaged_records},
      {{"shard_lengths", "processes", "parts"}, check_even_splits},
      {{"counts", "mixtures"}, check_mixing},
      {{"buckets", "salt", "ids"}, check_subset},
      {{"order", "cases"}, check_folder_cases},
      {{"rows", "num_shards", "shards"}, check_table_cases},
      {{"split", "reservoir"}, check_build_rules},
      {{"urls", "layout"}, check_yfcc},
  };
  return all;
}

const Format* format_of(const json& cases) {
  const bool is_list = cases.is_array() && !cases.empty();
  const json& object = is_list ? cases[0] : cases;
  if (!object.is_object()) return nullptr;
  for (const Format& format : formats()) {
    const auto has = [&](const char* key) { return object.contains(key); };
    if (std::all_of(format.keys.begin(), format.keys.end(), has)) return &format;
  }
  return nullptr;
}

json read_cases(const fs::path& path) {
  if (path.extension() != ".json" || !fs::is_regular_file(path) || fs::file_size(path) > kMaxBytes)
    return nullptr;
  return json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
}

bool matches(const fs::path& path) { return format_of(read_cases(path)) != nullptr; }

void run(const fs::path& path, const std::string&, CheckReport& report) {
  const DataGolden golden{path, read_cases(path), report};
  try {
    format_of(golden.cases)->run(golden);
  } catch (const json::exception& error) {
    throw UserError(path.string() + ": the golden is damaged: " + error.what());
  }
}

}  // namespace

std::string DataGolden::mismatch(const json& found, const json& expected) {
  const auto shortened = [](std::string text) {
    return text.size() > 200 ? text.substr(0, 200) + "..." : text;
  };
  return "found " + shortened(found.dump()) + ", expected " + shortened(expected.dump());
}

std::string pixels_sha256(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
}

int64_t num_different_bytes(const Image& found, const Image& expected) {
  if (found.pixels.size() != expected.pixels.size() || found.width != expected.width)
    return static_cast<int64_t>(expected.pixels.size());
  int64_t count = 0;
  for (size_t i = 0; i < found.pixels.size(); ++i) count += found.pixels[i] != expected.pixels[i];
  return count;
}

const CheckFamily kCheckData = {
    "data", "picture transform, TFRecord, building and mixing data sets, YFCC", matches, run};

}  // namespace i1
