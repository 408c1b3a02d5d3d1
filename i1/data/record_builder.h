// From raw pictures and captions to shards. Shards are contiguous ranges of the pictures, so that
// any number of machines can write some of them each, without a word between them: a shard is whole
// and has its sidecar, or it is written (again).
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "i1/data/example.h"
#include "i1/data/shard_sidecar.h"
#include "i1/data/sources.h"
#include "i1/data/split.h"
#include "i1/io/buckets.h"

namespace i1 {

/// Why pictures are left out, as reports count them.
inline constexpr const char *kWithoutCaption = "without a caption", *kNotDecoded = "not decoded",
                            *kTooSmall = "too small", *kTooElongated = "too elongated",
                            *kTooManyPixels = "too many pixels", *kSharedKey = "of a shared key",
                            *kDuplicate = "a duplicate", *kNoTarKey = "with a point in the key",
                            *kNoMetadata = "not in the shape metadata";

/// One set of a build, and the pictures that are in it.
struct Resolution {
  int size = 256;        ///< R: pictures of R x R
  int min_edge = 0;      ///< leave out pictures whose shorter edge is below
  Buckets buckets = {};  ///< other shapes at as many pixels; none by default
};

struct RecordBuildOptions {
  std::vector<Resolution> resolutions = {{}};  ///< each picture is decoded once for all
  bool is_fast = false;  ///< decode JPEGs at the smallest size that will do (decode_resized)
  int64_t num_shards = 1024;
  std::optional<Span> shards;  ///< those to write; all if absent
  ShardFormat format = ShardFormat::kTfrecord;
  std::optional<std::array<uint8_t, 3>> background;  ///< under what is transparent (RGB); without
                                                     ///< it alpha is dropped, as the reference does
  double max_aspect = 0;   ///< leave out pictures whose edges have a larger ratio; 0: none
  int64_t max_pixels = 0;  ///< leave out pictures of more; 0: none. Both, like min_edge, by header
  std::filesystem::path shape_metadata;  ///< JSON lines (read_shape_metadata): the shorter edges
  std::optional<int64_t> target_count;   ///< take a random sample of this many pictures
  uint64_t seed = 0;                     ///< of the sample
  std::string duplicates;  ///< how they were told and marked (duplicates.h), for the sidecars
};

/// The shards of one resolution that a run was to write, whether they were there or not.
struct BuiltSet {
  std::filesystem::path folder;
  std::vector<ShardSidecar> shards;
  int64_t num_found = 0;  ///< of them, those that were there and whole

  int64_t num_records() const;
  BadRecords left_out() const;  ///< of these shards, and before they were made
};

/// What was left out, shard by shard and before.
BadRecords left_out_of(const std::vector<ShardSidecar>& shards);

/// Marks pictures that share their key with others: captions are found by key, and which picture
/// they belong to cannot be told.
void mark_shared_keys(std::vector<SourcePicture>& pictures);

/// Selects (select_pictures), then writes every shard of the range that is not there and whole,
/// with progress on standard error; pictures that are left out are not refilled, and empty shards
/// are empty files. Each resolution goes to `output`, or to `output`/R where there are several. The
/// bytes do not depend on the number of threads or on who writes which shards. Throws UserError
/// where the range leaves 0..num_shards, and where a shard is there that was built with other
/// options, pictures or captions.
std::vector<BuiltSet> build_records(std::vector<SourcePicture> pictures,
                                    const CaptionTable& captions, const RecordBuildOptions& options,
                                    const std::filesystem::path& output);

}  // namespace i1
