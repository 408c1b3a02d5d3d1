// What is known of a shard, kept beside it as SHARD.json: how it was built, what it holds, its
// checksum, what became of the pictures it was to hold. TFDS does not look at such files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "i1/data/bad_records.h"

namespace i1 {

/// One of the pictures that a report shows.
struct ShownPicture {
  std::string key, source;  ///< where it came from
  int64_t record = -1;      ///< in the shard; -1: left out
  std::string reason;       ///< why it was left out
  std::string jpeg = {};    ///< a small copy in base64; empty where there is none
};

struct ShardSidecar {
  int64_t shard = 0, num_shards = 1;
  nlohmann::json options;    ///< an object; the same in all shards of a set
  std::string pictures;      ///< digest of the whole set's keys and captions in their order
  int64_t num_pictures = 0;  ///< of the source that the shard was to hold
  int64_t num_records = 0;   ///< those written
  int64_t num_captions = 0;
  int64_t num_payload_bytes = 0;  ///< as dataset_info.json counts
  int64_t num_file_bytes = 0;
  uint32_t crc32c = 0;         ///< of the file
  BadRecords left_out;         ///< of num_pictures
  BadRecords left_out_before;  ///< of the whole set, before it was sharded
  std::vector<ShownPicture> shown;
};

/// SHARD.json
std::filesystem::path sidecar_path(const std::filesystem::path& shard);

std::string sidecar_json(const ShardSidecar& sidecar);
void write_sidecar(const std::filesystem::path& shard, const ShardSidecar& sidecar);

/// Throws UserError where the sidecar is missing or any of its bytes is not as it was written.
ShardSidecar read_sidecar(const std::filesystem::path& shard);

/// How the file is not what the sidecar tells of, in one line; empty where it is.
std::string shard_fault(const std::filesystem::path& shard, const ShardSidecar& sidecar);

/// What differs between the options of two shards: "size 256 and 512"; empty where nothing does.
std::string options_difference(const nlohmann::json& one, const nlohmann::json& other);

}  // namespace i1
