// From raw pictures and captions to TFRecord shards. Shards are contiguous ranges of the pictures,
// so that any number of machines can write some of them each; a shard is whole or absent.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "i1/data/sources.h"
#include "i1/data/split.h"
#include "i1/io/buckets.h"
#include "i1/io/image.h"

namespace i1 {

struct RecordBuildOptions {
  int image_size = 256;  ///< R
  Buckets buckets;       ///< other shapes at as many pixels; none by default
  int64_t num_shards = 1024;
  std::optional<Span> shards;                        ///< those to write; all if absent
  std::optional<std::array<uint8_t, 3>> background;  ///< under what is transparent (RGB); without
                                                     ///< it alpha is dropped, as the reference does
  bool filter_shorter_edge = false;      ///< leave out pictures whose shorter edge is below R
  std::filesystem::path shape_metadata;  ///< JSON lines (read_shape_metadata); only with the filter
  std::optional<int64_t> target_count;   ///< take a random sample of this many pictures
  uint64_t seed = 0;                     ///< of the sample
  bool is_fast = false;                  ///< decode_resized; no picture with a background is
};

/// What became of the pictures of one shard.
struct ShardReport {
  std::string file;
  int64_t written = 0;
  int64_t missing = 0;  ///< without a caption, broken or not
  int64_t decode_errors = 0;
  int64_t filtered = 0;
  std::string first_missing = {}, first_decode_error = {}, first_filtered = {};  ///< key, message
};

struct RecordBuildReport {
  std::vector<ShardReport> shards;
  std::vector<std::pair<Image, std::string>> sheet;  ///< 60 or fewer of the pictures, captions
  int64_t kept_by_metadata = 0, skipped_without_metadata = 0;  ///< before sharding

  ShardReport total() const;
};

/// Which pictures are stored, and in which order. With filter and metadata: those whose entry is
/// at least R. With a target count below what there is: a uniform sample in random order; where the
/// filter has no metadata it is drawn in one scan over all headers.
std::vector<SourcePicture> select_pictures(std::vector<SourcePicture> pictures,
                                           const RecordBuildOptions& options,
                                           RecordBuildReport& report);

/// Selects, then writes every shard of the range, with progress on standard error; pictures that
/// are skipped are not refilled, and empty shards are empty files. Throws UserError where the range
/// leaves 0..num_shards.
RecordBuildReport build_records(std::vector<SourcePicture> pictures, const CaptionTable& captions,
                                const RecordBuildOptions& options,
                                const std::filesystem::path& output);

/// dataset_info.json and features.json of a folder whose shards are all there. Throws UserError
/// where some are missing or damaged.
void complete_dataset(const std::filesystem::path& folder, int image_size,
                      const std::string& description);

}  // namespace i1
