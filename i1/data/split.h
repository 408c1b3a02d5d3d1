// Even shares: of a piece of work over processes, of pictures over shards when a set is written, of
// examples over processes when it is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace i1 {

struct Span {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
};

/// Part `index` of `num_parts` contiguous ranges of `total`: total / num_parts each, the first
/// total % num_parts one more.
Span even_part(int64_t total, int64_t index, int64_t num_parts);

/// Part `index` of `count`, each for a process of its own.
struct WorkPart {
  int64_t index = 0, count = 1;

  std::string name() const;  ///< "0-of-1"
};

/// --shard: "2/8" is the third part of eight. Throws UserError for anything but K/N with
/// 0 <= K < N <= 100,000.
WorkPart parse_work_part(const std::string& text);

/// A stretch of a shard.
struct ShardPart {
  int64_t shard = 0, skip = 0, take = 0;

  bool operator==(const ShardPart&) const = default;
};

/// The even part of a process in some stretches laid end to end.
std::vector<ShardPart> even_stretches(const std::vector<ShardPart>& stretches, int64_t process,
                                      int64_t num_processes);

/// What a process reads: its even part of all examples, as stretches of shards of these lengths.
/// Shards that give nothing are left out.
std::vector<ShardPart> shard_parts(const std::vector<int64_t>& shard_lengths, int64_t process,
                                   int64_t num_processes);

}  // namespace i1
