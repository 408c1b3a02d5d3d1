// What was left out of a data set: how many records of each reason, and what the first one said.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "i1/io/tfrecord.h"

namespace i1 {

struct BadRecords {
  std::map<std::string, int64_t> counts;     ///< by reason
  std::map<std::string, std::string> first;  ///< by reason: its message

  void add(const RecordError& error);
  /// Those of a later part of the same data.
  void add(const BadRecords& later);
  int64_t total() const;

  /// Throws UserError where they are more than `max_share` of `num_read` records (of 1,000 at
  /// least).
  void check_share(double max_share, int64_t num_read, const std::string& where) const;
  /// "wrong checksum: 2, the first: ...", one line a reason.
  std::string report() const;

  bool operator==(const BadRecords&) const = default;
  static void fields(auto& self, auto&& visit) {
    visit("counts", self.counts);
    visit("first", self.first);
  }
};

}  // namespace i1
