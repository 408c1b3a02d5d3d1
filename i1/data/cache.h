// The latent cache: what training reads instead of pictures. One folder a data set:
//
//   cache.json                        what made it (CacheOrigin) and the layout of its tables
//   latents                           (n, C, h, w) bfloat16; with buckets (i1/io/buckets.h) for
//   each
//     or latents_3, examples_3        that has pictures its own, with the numbers of their examples
//   names, name_offsets               image names, packed
//   captions, caption_offsets         for each example its captions, as numbers of distinct ones
//   token_ids, token_offsets          for each distinct caption its tokens, packed
//   text_states/                      optional: the text encoder's states of the distinct captions,
//     states.json, states, padding    one bfloat16 row a token, and the row of padding
//
// Tables are files of rows (rows.h), mapped: a cache may be larger than memory, and is opened at
// once. Any thread may read. What a table holds is checked where it is read.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "i1/core/files.h"
#include "i1/data/rows.h"
#include "i1/io/buckets.h"

namespace i1 {

/// What a cache was made with. Caches are used together, and with a model, only where these agree;
/// `source` alone is each set's own.
struct CacheOrigin {
  int64_t format = 2;
  int64_t resolution = 0;  ///< pixels
  Buckets buckets;
  std::string transform;     ///< how pictures became pixels: kPictureTransform
  std::string vae;           ///< name and digest of its weights; "mean" or "sample"
  std::string tokenizer;     ///< digest of tokenizer.json
  std::string text_encoder;  ///< digest of its weights; empty where no text states are stored
  int64_t num_text_tokens = 0;
  std::string source;  ///< source_digest of the records

  static void fields(auto& self, auto&& visit) {
    visit("format", self.format);
    visit("resolution", self.resolution);
    visit("buckets", self.buckets);
    visit("transform", self.transform);
    visit("vae", self.vae);
    visit("tokenizer", self.tokenizer);
    visit("text_encoder", self.text_encoder);
    visit("num_text_tokens", self.num_text_tokens);
    visit("source", self.source);
  }
  bool operator==(const CacheOrigin&) const = default;
};

/// To cover the size by Pillow's bilinear, centre crop, x / 255 * 2 - 1 (transform.h).
inline constexpr const char* kPictureTransform = "bilinear centre crop, format 1";

/// Size and CRC-32C of a file; of a folder those of its .safetensors and .json files and their
/// names.
std::string file_digest(const std::filesystem::path& path);

/// Stands for the records of a folder of shards without reading all of them: name, size, first and
/// last MiB of each.
std::string source_digest(const std::filesystem::path& folder);

/// What the tables of a bucket are called; without buckets there is no table of examples.
struct BucketTables {
  std::string latents, examples;
};
BucketTables bucket_tables(const Buckets& buckets, int64_t bucket);

class LatentCache {
 public:
  /// Maps a folder. Throws UserError where files are missing, damaged or do not fit each other.
  static LatentCache open(const std::filesystem::path& folder);

  const CacheOrigin& origin() const { return origin_; }
  const std::string& name() const { return name_; }  ///< of the folder
  int64_t size() const { return tables_->caption_offsets.num_rows() - 1; }

  /// Without buckets all latents are of one.
  int64_t num_buckets() const { return static_cast<int64_t>(tables_->buckets.size()); }
  int64_t bucket_size(int64_t bucket) const;  ///< its number of examples
  /// (C, h, w); empty where the bucket is.
  std::vector<int64_t> latent_shape(int64_t bucket = 0) const;
  /// Row `row` of a bucket, (C, h, w) bfloat16, a view: do not write to it.
  at::Tensor latent(int64_t row, int64_t bucket = 0) const;
  /// Which example that row is of: without buckets the same number.
  int64_t example_of(int64_t row, int64_t bucket) const;

  std::string image_name(int64_t example) const;
  int64_t num_captions(int64_t example) const;
  /// The index of one of an example's captions among the distinct ones.
  int64_t caption(int64_t example, int64_t which) const;
  int64_t num_distinct_captions() const { return tables_->token_offsets.num_rows() - 1; }
  int64_t num_tokens(int64_t caption) const;
  std::vector<int64_t> token_ids(int64_t caption) const;
  const std::string& tokens_digest() const { return tokens_digest_; }  ///< of all captions
  bool has_text_states() const { return states_ != nullptr; }
  at::Tensor text_states(int64_t caption) const;  ///< (tokens, W) bfloat16
  at::Tensor padding_state() const;               ///< (W) bfloat16: the constant padding row

 private:
  struct Bucket {
    std::optional<RowReader> latents, examples;  ///< neither where it is empty
  };
  struct Tables {
    std::vector<Bucket> buckets;
    RowReader names, name_offsets, captions, caption_offsets, token_ids, token_offsets;
  };
  struct TextStates {
    RowReader states, padding;
  };
  LatentCache() = default;
  bool tables_fit() const;
  void open_text_states(const std::filesystem::path& folder);

  std::string name_, tokens_digest_;
  CacheOrigin origin_;
  std::shared_ptr<const Tables> tables_;  // shared, so that a cache is cheap to copy
  std::shared_ptr<const TextStates> states_;
};

/// Writes a cache as FOLDER.partial; `finish` gives it its name. Examples go to disk as they come:
/// memory holds the captions that equal ones are found among, at most 256 MB of them (later ones
/// are stored again where they repeat).
class CacheWriter {
 public:
  /// Throws UserError where the folder exists.
  CacheWriter(std::filesystem::path folder, CacheOrigin origin);
  ~CacheWriter();
  CacheWriter(const CacheWriter&) = delete;
  CacheWriter& operator=(const CacheWriter&) = delete;

  /// The number of a caption given by its tokens; equal ones share a number.
  int64_t caption_number(const std::vector<int64_t>& token_ids);

  /// latents: (k, C, h, w), any floating dtype, of one bucket; captions: the numbers of each
  /// example's captions, possibly none.
  void add(const at::Tensor& latents, const std::vector<std::vector<int64_t>>& captions,
           const std::vector<std::string>& image_names, int64_t bucket = 0);

  /// Throws UserError where nothing was added.
  void finish();

 private:
  struct Tables;

  std::filesystem::path path_;
  AtomicFolder folder_;
  CacheOrigin origin_;
  std::unique_ptr<Tables> tables_;
  std::unordered_map<std::string, int64_t> known_captions_;  // by their tokens' bytes
  size_t known_bytes_ = 0;
  uint64_t tokens_hash_;
};

/// Adds text states to a cache, replacing older ones: `encode` maps token ids of some captions to
/// their states, one (tokens, W) tensor each; `padding_state` (W) is the constant padding row. The
/// digest of the encoder enters the origin.
void add_text_states(
    const std::filesystem::path& folder, const std::string& text_encoder_digest,
    const at::Tensor& padding_state,
    const std::function<std::vector<at::Tensor>(const std::vector<std::vector<int64_t>>&)>& encode);

/// Throws UserError, naming the first field that differs and both values; `source` may differ, and
/// whatever `expected` leaves empty or 0.
void check_origin(const CacheOrigin& expected, const std::string& where_expected,
                  const CacheOrigin& found, const std::string& where_found);

/// Throws UserError where two caches were not made the same way.
void check_same_origin(const LatentCache& first, const LatentCache& second);

}  // namespace i1
