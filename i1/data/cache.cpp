#include "i1/data/cache.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/core/random.h"
#include "i1/data/example.h"
#include "i1/io/tfrecord.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kDigestEnds = size_t{1} << 20;
constexpr const char* kHowToMake = "make it anew with `i1 data cache`";

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hex(uint64_t value, int digits) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(value));
  return text;
}

nlohmann::json read_json(const fs::path& path) {
  const nlohmann::json json = nlohmann::json::parse(read_file(path), nullptr, false);
  check_user(json.is_object(), path.string(), ": not a JSON object; the cache is damaged, ",
             kHowToMake);
  return json;
}

const nlohmann::json& member(const nlohmann::json& json, const std::string& key,
                             const fs::path& path) {
  check_user(json.contains(key), path.string(), ": no \"", key, "\"; ", kHowToMake);
  return json[key];
}

std::string string_member(const nlohmann::json& json, const std::string& key,
                          const fs::path& path) {
  const nlohmann::json& value = member(json, key, path);
  check_user(value.is_string(), path.string(), ": \"", key, "\" is no string; ", kHowToMake);
  return value;
}

RowReader open_table(const fs::path& folder, const nlohmann::json& tables, const std::string& name,
                     at::ScalarType dtype, const fs::path& path) {
  RowLayout layout;
  from_json(layout, member(tables, name, path), path.string() + ": " + name);
  return RowReader(folder, name, layout, dtype);
}

// Entry `index` of a packed list of lists: where it begins and how many values it has.
struct Range {
  int64_t begin, count;
};

Range range_of(const RowReader& offsets, const RowReader& values, int64_t index) {
  std::array<int64_t, 2> ends;
  offsets.read(index, 2, ends.data());
  const bool is_rising = ends[0] >= 0 && ends[1] >= ends[0];
  const Range range{ends[0], is_rising ? ends[1] - ends[0] : -1};
  values.check_range(range.begin, range.count);
  return range;
}

}  // namespace

std::string file_digest(const fs::path& path) {
  if (!fs::is_directory(path)) {
    const MappedFile file(path);
    return std::to_string(file.bytes().size()) + "-" + hex(crc32c(text_of(file.bytes())), 8);
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".safetensors" || extension == ".json") files.push_back(entry.path());
  }
  check_user(!files.empty(), path.string(), ": no .safetensors or .json file in this folder");
  std::sort(files.begin(), files.end());
  std::string all;
  for (const fs::path& file : files)
    all += fs::relative(file, path).string() + "\n" + file_digest(file) + "\n";
  return std::to_string(files.size()) + " files-" + hex(fnv1a(all), 16);
}

std::string source_digest(const fs::path& folder) {
  std::string all;
  for (const fs::path& shard : find_shards(folder)) {
    const MappedFile file(shard);
    const std::string_view bytes = text_of(file.bytes());
    const std::string_view head = bytes.substr(0, kDigestEnds),
                           tail = bytes.substr(bytes.size() - head.size());
    all += concat(shard.filename().string(), " ", bytes.size(), " ", crc32c(head), " ",
                  crc32c(tail), "\n");
  }
  return hex(fnv1a(all), 16);
}

BucketTables bucket_tables(const Buckets& buckets, int64_t bucket) {
  if (buckets.unit == 0) return {"latents", ""};
  return {concat("latents_", bucket), concat("examples_", bucket)};
}

LatentCache LatentCache::open(const fs::path& folder) {
  const fs::path path = folder / "cache.json";
  check_user(fs::exists(path), folder.string(),
             ": not a latent cache (no cache.json); make one with `i1 data cache`");
  const nlohmann::json json = read_json(path);
  LatentCache cache;
  cache.name_ = fs::absolute(folder / ".").lexically_normal().parent_path().filename().string();
  from_json(cache.origin_, member(json, "origin", path), path.string() + ": origin");
  check_user(cache.origin_.format == CacheOrigin{}.format, path.string(), ": format ",
             cache.origin_.format, ", expected ", CacheOrigin{}.format, "; ", kHowToMake);
  const nlohmann::json& tables = member(json, "tables", path);
  const auto table = [&](const char* name, at::ScalarType dtype) {
    return open_table(folder, tables, name, dtype, path);
  };
  const auto open_bucket = [&](int64_t index) {
    const BucketTables names = bucket_tables(cache.origin_.buckets, index);
    Bucket bucket;
    if (!names.examples.empty() && !tables.contains(names.latents)) return bucket;
    bucket.latents = table(names.latents.c_str(), at::kBFloat16);
    if (!names.examples.empty()) bucket.examples = table(names.examples.c_str(), at::kLong);
    return bucket;
  };
  std::vector<Bucket> buckets;
  const auto num_buckets =
      static_cast<int64_t>(bucket_sizes(cache.origin_.buckets, cache.origin_.resolution).size());
  for (int64_t i = 0; i < num_buckets; ++i) buckets.push_back(open_bucket(i));
  cache.tables_ = std::make_shared<const Tables>(
      Tables{std::move(buckets), table("names", at::kByte), table("name_offsets", at::kLong),
             table("captions", at::kInt), table("caption_offsets", at::kLong),
             table("token_ids", at::kInt), table("token_offsets", at::kLong)});
  check_user(cache.tables_fit(), path.string(),
             ": latents, names and captions do not fit each other; ", kHowToMake);
  cache.tokens_digest_ = string_member(json, "tokens_digest", path);
  cache.open_text_states(folder);
  return cache;
}

bool LatentCache::tables_fit() const {
  int64_t num_latents = 0;
  for (const auto& [latents, examples] : tables_->buckets) {
    if (!latents) continue;
    num_latents += latents->num_rows();
    if (latents->row_shape().size() != 3) return false;
    if (examples && examples->num_rows() != latents->num_rows()) return false;
  }
  return num_latents == size() && num_distinct_captions() >= 0 &&
         tables_->name_offsets.num_rows() == size() + 1;
}

void LatentCache::open_text_states(const fs::path& folder) {
  const fs::path path = folder / "text_states" / "states.json";
  if (!fs::exists(path)) return;
  const nlohmann::json json = read_json(path);
  check_user(string_member(json, "tokens_digest", path) == tokens_digest_, path.string(),
             ": made for other captions than this cache holds; ", kHowToMake);
  const nlohmann::json& tables = member(json, "tables", path);
  const auto table = [&](const char* name) {
    return open_table(folder / "text_states", tables, name, at::kBFloat16, path);
  };
  states_ = std::make_shared<const TextStates>(TextStates{table("states"), table("padding")});
  check_user(states_->states.num_rows() == tables_->token_ids.num_rows() &&
                 states_->padding.num_rows() == 1 && states_->states.row_shape().size() == 1 &&
                 states_->padding.row_shape() == states_->states.row_shape(),
             path.string(), ": states do not fit the tokens; ", kHowToMake);
  origin_.text_encoder = string_member(json, "text_encoder", path);
}

int64_t LatentCache::bucket_size(int64_t bucket) const {
  const auto& latents = tables_->buckets[static_cast<size_t>(bucket)].latents;
  return latents ? latents->num_rows() : 0;
}

std::vector<int64_t> LatentCache::latent_shape(int64_t bucket) const {
  const auto& latents = tables_->buckets[static_cast<size_t>(bucket)].latents;
  return latents ? latents->row_shape() : std::vector<int64_t>();
}

at::Tensor LatentCache::latent(int64_t row, int64_t bucket) const {
  const auto& latents = tables_->buckets[static_cast<size_t>(bucket)].latents;
  check_machine(latents.has_value(), name_, ": bucket ", bucket, " is empty");
  return latents->rows(row, 1).squeeze(0);
}

int64_t LatentCache::example_of(int64_t row, int64_t bucket) const {
  const auto& examples = tables_->buckets[static_cast<size_t>(bucket)].examples;
  if (!examples) return row;
  int64_t example = 0;
  examples->read(row, 1, &example);
  return example;
}

std::string LatentCache::image_name(int64_t example) const {
  const Range range = range_of(tables_->name_offsets, tables_->names, example);
  std::string name(static_cast<size_t>(range.count), '\0');
  tables_->names.read(range.begin, range.count, name.data());
  return name;
}

int64_t LatentCache::num_captions(int64_t example) const {
  return range_of(tables_->caption_offsets, tables_->captions, example).count;
}

int64_t LatentCache::caption(int64_t example, int64_t which) const {
  int32_t number = 0;
  tables_->captions.read(
      range_of(tables_->caption_offsets, tables_->captions, example).begin + which, 1, &number);
  return number;
}

int64_t LatentCache::num_tokens(int64_t caption) const {
  return range_of(tables_->token_offsets, tables_->token_ids, caption).count;
}

std::vector<int64_t> LatentCache::token_ids(int64_t caption) const {
  const Range range = range_of(tables_->token_offsets, tables_->token_ids, caption);
  const at::Tensor ids = tables_->token_ids.rows(range.begin, range.count);
  const int32_t* values = ids.const_data_ptr<int32_t>();
  return {values, values + range.count};
}

at::Tensor LatentCache::text_states(int64_t caption) const {
  check_user(has_text_states(), name_, ": the cache has no text states; ", kHowToMake);
  const Range range = range_of(tables_->token_offsets, tables_->token_ids, caption);
  return states_->states.rows(range.begin, range.count);
}

at::Tensor LatentCache::padding_state() const {
  check_user(has_text_states(), name_, ": the cache has no text states; ", kHowToMake);
  return states_->padding.rows(0, 1).squeeze(0);
}

void check_origin(const CacheOrigin& expected, const std::string& where_expected,
                  const CacheOrigin& found, const std::string& where_found) {
  const auto want = to_json(expected), have = to_json(found), any = to_json(CacheOrigin{});
  for (const auto& item : want.items()) {
    const std::string& field = item.key();
    if (field == "source" || (field != "format" && item.value() == any[field])) continue;
    check_user(item.value() == have[field], where_found, ": ", field, " ", have[field].dump(),
               ", but ", where_expected, " has ", item.value().dump(),
               "; they cannot be used together, make one of them anew");
  }
}

void check_same_origin(const LatentCache& first, const LatentCache& second) {
  check_origin(first.origin(), first.name(), second.origin(), second.name());
  check_origin(second.origin(), second.name(), first.origin(), first.name());
  for (int64_t i = 0; i < first.num_buckets(); ++i) {
    const std::vector<int64_t> one = first.latent_shape(i), other = second.latent_shape(i);
    check_user(one.empty() || other.empty() || one == other, second.name(), ": latents of shape ",
               at::IntArrayRef(other), ", but ", first.name(), " has ", at::IntArrayRef(one));
  }
}

}  // namespace i1
