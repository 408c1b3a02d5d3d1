// What was left out of a data set: how many records of each reason, and what the first one said.
#pragma once

#include <cstdint>
#include <map>
#include <span>
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

  /// "wrong checksum: 2, the first: ...", one line a reason.
  std::string report() const;

  bool operator==(const BadRecords&) const = default;
  static void fields(auto& self, auto&& visit) {
    visit("counts", self.counts);
    visit("first", self.first);
  }
};

/// Throws UserError where the bad records of all sources are more than `max_fraction` of `num_read`
/// records (of 1,000 at least); it names the source that has most of them, and their first.
void check_bad_fraction(std::span<const BadRecords> bad, std::span<const std::string> sources,
                        double max_fraction, int64_t num_read);

}  // namespace i1
