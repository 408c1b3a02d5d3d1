// A stored training example and the sets of shards that hold them, as the reference writes them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "i1/io/image.h"
#include "i1/io/tfrecord.h"

namespace i1 {

struct Example {
  std::string png;  ///< RGB, R x R
  int64_t height = 0, width = 0, channels = 3;
  std::vector<std::string> captions;
  std::string image_name;
};

/// The payload of one record: image, image/shape, caption, image_name.
std::string serialize(const Example& example);

/// Throws RecordError, opened by `where`: "not an example"; "wrong features" where image,
/// image/shape or image_name is missing, of another kind or without exactly 1, 3 and 1 values, or
/// the captions are of another kind. A missing caption is an empty list.
Example parse_stored_example(std::string_view payload, const std::string& where);

/// The picture of a record. Throws RecordError, opened by `where`: "empty picture", "picture does
/// not decode" (also a PNG that is cut or has a wrong checksum), "shape does not fit the picture"
/// where the record says another one (-1 there fits anything), "picture is too large" above 2^26
/// pixels; both by the header, before memory is taken.
Image decode_picture(const Example& example, const std::string& where);

/// Throws RecordError, opened by `where`: "caption is not UTF-8"; "no caption", where one is
/// needed.
void check_captions(const Example& example, bool needs_caption, const std::string& where);

/// How the examples of a shard are stored: as records that TFDS reads, or as the members of a tar
/// file, WebDataset's form.
enum class ShardFormat { kTfrecord, kWebDataset };

/// "dataset-train.tfrecord-00003-of-00016", "dataset-train-00003-of-00016.tar"
std::string shard_name(int64_t shard, int64_t num_shards,
                       ShardFormat format = ShardFormat::kTfrecord);

/// Number and count of a shard by the end of its file name, "...-00003-of-00016" with or without
/// ".tar"; nothing for other names, sidecars among them.
struct ShardNumber {
  int64_t shard = 0, num_shards = 0;
  ShardFormat format = ShardFormat::kTfrecord;
};
std::optional<ShardNumber> parse_shard_name(std::string_view file_name);

/// The shards of a folder in order. Throws UserError where there are none, some are missing or
/// names disagree.
std::vector<std::filesystem::path> find_shards(const std::filesystem::path& folder,
                                               ShardFormat format = ShardFormat::kTfrecord);

/// Records a shard, from a dataset_info.json as TFDS writes it (other keys are ignored). Throws
/// UserError where the file has no "train" split or is damaged.
std::vector<int64_t> read_shard_lengths(const std::filesystem::path& dataset_info);

struct DatasetInfo {
  std::string description = "Pictures with captions.";
  int64_t resolution = 0;              ///< 0: pictures have several sizes
  std::vector<int64_t> shard_lengths;  ///< records a shard
  int64_t num_payload_bytes = 0;       ///< of all records, without framing
};

/// features.json and dataset_info.json, as TFDS reads them.
std::string features_json(const DatasetInfo& info);
std::string dataset_info_json(const DatasetInfo& info);
void write_dataset_info(const std::filesystem::path& folder, const DatasetInfo& info);

}  // namespace i1
