// Many shards to one set: checks that all are there, whole, of one build, and that no picture is in
// it twice; then writes what describes the set.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "i1/data/caption_statistics.h"
#include "i1/data/example.h"
#include "i1/data/shard_sidecar.h"

namespace i1 {

/// A picture of the set, for its report.
struct ShownExample {
  ShownPicture picture;               ///< with a small copy
  std::vector<std::string> captions;  ///< none of a picture that was left out
};

struct MergedSet {
  std::filesystem::path folder;
  std::vector<ShardSidecar> shards;
  CaptionStatistics captions;
  std::vector<ShownExample> shown;  ///< evenly from all shards
};

struct MergeOptions {
  std::vector<std::filesystem::path> folders;
  std::filesystem::path output;  ///< a new folder; empty: the one folder is completed in place
  std::function<int64_t(std::string_view)> count_tokens;  ///< of a caption; may be empty
};

/// Reads every shard of the folders, and writes dataset_info.json and features.json (of TFRecord
/// shards) and the report (set_report.h). Folders may hold parts of one build, or whole builds of
/// other pictures with the same options, whose shards are then numbered on. Files are linked to
/// the output, or copied where they lie on another disk. Throws UserError, in one line, where a
/// shard is missing, twice, damaged, or built with other options, and where two pictures have one
/// key; the output is then not there.
MergedSet merge_sets(const MergeOptions& options);

/// What the shards of a whole set say together.
DatasetInfo dataset_info_of(const std::vector<ShardSidecar>& shards);

}  // namespace i1
