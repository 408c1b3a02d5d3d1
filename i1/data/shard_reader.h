// Reads the examples of a shard of either format.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "i1/data/example.h"

namespace i1 {

struct StoredRecord {
  int64_t number = 0;  ///< in the shard
  std::string where;   ///< "SHARD, record 3": opens messages
  int64_t num_payload_bytes = 0;
  Example example;
};

/// Calls visit for each record in order, and on_error in its place where it cannot be read (or
/// where visit throws RecordError). A record of a tar is a picture with its captions. Throws
/// UserError where the file cannot be read at all. Returns the number of records, unusable ones
/// included.
int64_t for_each_record(const std::filesystem::path& shard,
                        const std::function<void(StoredRecord&)>& visit,
                        const std::function<void(const RecordError&)>& on_error);

}  // namespace i1
