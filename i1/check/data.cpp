#include "i1/check/data.h"

#include "i1/check/data_cases.h"
#include "i1/check/golden_files.h"
#include "i1/core/digest.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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
  for (const Format& format : formats()) {
    if (has_keys(cases, format.keys)) return &format;
  }
  return nullptr;
}

bool matches(const fs::path& path) { return format_of(peek_json(path)) != nullptr; }

void run(const fs::path& path, const std::string&, CheckReport& report) {
  const DataGolden golden{path, read_json(path, report), report};
  format_of(golden.cases)->run(golden);
}

}  // namespace

std::string DataGolden::mismatch(const json& found, const json& expected) {
  const auto shortened = [](std::string text) {
    return text.size() > 200 ? text.substr(0, 200) + "..." : text;
  };
  return "found " + shortened(found.dump()) + ", expected " + shortened(expected.dump());
}

int64_t DataGolden::num_parts(const json& item, const char* key) const {
  return count_of(item, key, 1, 1'000'000, path.string());
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
