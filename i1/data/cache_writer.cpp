#include <cstdio>
#include <map>
#include <optional>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/core/random.h"
#include "i1/data/cache.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCaptionsAtOnce = 256;
constexpr size_t kMaxKnownBytes = size_t{256} << 20;
const std::vector<int64_t> kNoShape;  // of rows that are one value

const fs::path& not_there_yet(const fs::path& folder) {
  check_user(!fs::exists(folder), folder.string(), ": exists already; remove it to make it anew");
  return folder;
}

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

// A packed list of lists on its way to disk.
struct RaggedWriter {
  RowWriter values, offsets;

  RaggedWriter(const fs::path& folder, const std::string& name, const std::string& offsets_name,
               at::ScalarType dtype)
      : values(folder, name, dtype, {}), offsets(folder, offsets_name, at::kLong, {}) {
    end_list();
  }
  void end_list() {
    const int64_t end = values.num_rows();
    offsets.append(&end, 1);
  }
};

}  // namespace

struct CacheWriter::Tables {
  explicit Tables(const fs::path& folder)
      : names(folder, "names", "name_offsets", at::kByte),
        captions(folder, "captions", "caption_offsets", at::kInt),
        token_ids(folder, "token_ids", "token_offsets", at::kInt) {}

  struct Bucket {
    Bucket(const fs::path& folder, const BucketTables& names, const std::vector<int64_t>& shape)
        : latents(folder, names.latents, at::kBFloat16, shape) {
      if (!names.examples.empty()) examples.emplace(folder, names.examples, at::kLong, kNoShape);
    }

    RowWriter latents;
    std::optional<RowWriter> examples;
  };
  std::map<int64_t, Bucket> buckets;  // a bucket's shape is known with its first example
  RaggedWriter names, captions, token_ids;
};

CacheWriter::CacheWriter(fs::path folder, CacheOrigin origin)
    : path_(std::move(folder)),
      folder_(not_there_yet(path_)),
      origin_(std::move(origin)),
      tables_(std::make_unique<Tables>(folder_.partial())),
      tokens_hash_(fnv1a("")) {}

CacheWriter::~CacheWriter() = default;

int64_t CacheWriter::caption_number(const std::vector<int64_t>& token_ids) {
  const std::vector<int32_t> ids(token_ids.begin(), token_ids.end());
  const std::string bytes(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof ids[0]);
  if (const auto found = known_captions_.find(bytes); found != known_captions_.end())
    return found->second;
  const int64_t number = tables_->token_ids.offsets.num_rows() - 1;
  tables_->token_ids.values.append(ids.data(), static_cast<int64_t>(ids.size()));
  tables_->token_ids.end_list();
  const int64_t end = tables_->token_ids.values.num_rows();
  tokens_hash_ =
      fnv1a({reinterpret_cast<const char*>(&end), sizeof end}, fnv1a(bytes, tokens_hash_));
  if (known_bytes_ < kMaxKnownBytes) {
    known_bytes_ += bytes.size() + sizeof(std::string);
    known_captions_.emplace(bytes, number);
  }
  return number;
}

void CacheWriter::add(const at::Tensor& latents, const std::vector<std::vector<int64_t>>& captions,
                      const std::vector<std::string>& image_names, int64_t bucket) {
  const auto count = static_cast<size_t>(latents.size(0));
  check_machine(latents.dim() == 4 && captions.size() == count && image_names.size() == count,
                "cache: ", latents.sizes(), " latents, ", captions.size(), " captions, ",
                image_names.size(), " names");
  auto& [latents_of_bucket, examples] =
      tables_->buckets
          .try_emplace(bucket, folder_.partial(), bucket_tables(origin_.buckets, bucket),
                       latents.sizes().slice(1).vec())
          .first->second;
  latents_of_bucket.append(latents);
  for (size_t i = 0; i < count; ++i) {
    const int64_t example = tables_->captions.offsets.num_rows() - 1;
    if (examples) examples->append(&example, 1);
    for (const int64_t caption : captions[i]) {
      const auto number = static_cast<int32_t>(caption);
      tables_->captions.values.append(&number, 1);
    }
    tables_->captions.end_list();
    tables_->names.values.append(image_names[i].data(),
                                 static_cast<int64_t>(image_names[i].size()));
    tables_->names.end_list();
  }
}

void CacheWriter::finish() {
  check_user(!tables_->buckets.empty(), path_.string(), ": no example to cache");
  nlohmann::ordered_json tables;
  for (auto& [index, bucket] : tables_->buckets) {
    const BucketTables names = bucket_tables(origin_.buckets, index);
    tables[names.latents] = to_json(bucket.latents.close());
    if (bucket.examples) tables[names.examples] = to_json(bucket.examples->close());
  }
  tables["names"] = to_json(tables_->names.values.close());
  tables["name_offsets"] = to_json(tables_->names.offsets.close());
  tables["captions"] = to_json(tables_->captions.values.close());
  tables["caption_offsets"] = to_json(tables_->captions.offsets.close());
  tables["token_ids"] = to_json(tables_->token_ids.values.close());
  tables["token_offsets"] = to_json(tables_->token_ids.offsets.close());
  const nlohmann::ordered_json json = {
      {"origin", to_json(origin_)}, {"tokens_digest", hex(tokens_hash_)}, {"tables", tables}};
  write_file_atomically(folder_.partial() / "cache.json", json.dump(2));
  folder_.commit();
}

void add_text_states(
    const fs::path& folder, const std::string& text_encoder_digest, const at::Tensor& padding_state,
    const std::function<std::vector<at::Tensor>(const std::vector<std::vector<int64_t>>&)>&
        encode) {
  const LatentCache cache = LatentCache::open(folder);
  AtomicFolder atomic(folder / "text_states");
  const fs::path& temporary = atomic.partial();
  const int64_t width = padding_state.size(0), num_captions = cache.num_distinct_captions();
  RowWriter states(temporary, "states", at::kBFloat16, {width}),
      padding(temporary, "padding", at::kBFloat16, {width});
  padding.append(padding_state.unsqueeze(0));
  std::vector<std::vector<int64_t>> chunk;
  for (int64_t i = 0; i < num_captions; ++i) {
    chunk.push_back(cache.token_ids(i));
    if (chunk.size() < kCaptionsAtOnce && i + 1 < num_captions) continue;
    const std::vector<at::Tensor> rows = encode(chunk);
    check_machine(rows.size() == chunk.size(), "states of ", rows.size(), " captions, expected ",
                  chunk.size());
    for (size_t j = 0; j < rows.size(); ++j) {
      check_machine(rows[j].size(0) == static_cast<int64_t>(chunk[j].size()), rows[j].size(0),
                    " text states for a caption of ", chunk[j].size(), " tokens");
      states.append(rows[j]);
    }
    chunk.clear();
  }
  const nlohmann::ordered_json json = {
      {"text_encoder", text_encoder_digest},
      {"tokens_digest", cache.tokens_digest()},
      {"tables", {{"states", to_json(states.close())}, {"padding", to_json(padding.close())}}}};
  write_file_atomically(temporary / "states.json", json.dump(2));
  atomic.commit();
}

}  // namespace i1
