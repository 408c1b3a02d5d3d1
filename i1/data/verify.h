#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "i1/data/bad_records.h"

namespace i1 {

struct VerifyReport {
  int64_t num_shards = 0, num_records = 0, num_captions = 0, num_payload_bytes = 0;
  BadRecords bad;
  std::string metadata_fault;            ///< how dataset_info.json disagrees; empty = it does not
  std::vector<std::string> file_faults;  ///< files that are not what was written, a line each

  bool is_good() const { return bad.total() == 0 && metadata_fault.empty() && file_faults.empty(); }
};

/// Reads a data set as training would, every record once: frame and checksums, message, picture,
/// captions (at least one, all UTF-8), and dataset_info.json where there is one. Where shards have
/// sidecars, every byte of shards, sidecars, dataset_info.json and features.json is compared with
/// what was written. Shards are read in
/// parallel; the report does not depend on that. Throws UserError where shards are missing.
VerifyReport verify_records(const std::filesystem::path& folder);

}  // namespace i1
