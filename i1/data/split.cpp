#include "i1/data/split.h"

#include <algorithm>
#include <charconv>

#include "i1/core/error.h"

namespace i1 {

Span even_part(int64_t total, int64_t index, int64_t num_parts) {
  const int64_t size = total / num_parts, num_larger = total % num_parts;
  const auto begin = [&](int64_t part) { return part * size + std::min(part, num_larger); };
  return {begin(index), begin(index + 1)};
}

std::string WorkPart::name() const { return concat(index, "-of-", count); }

WorkPart parse_work_part(const std::string& text) {
  WorkPart part;
  const char* end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, part.index);
  bool is_good = index.ec == std::errc() && index.ptr != end && *index.ptr == '/';
  if (is_good) {
    const auto count = std::from_chars(index.ptr + 1, end, part.count);
    is_good = count.ec == std::errc() && count.ptr == end && part.index >= 0 &&
              part.index < part.count && part.count <= 100'000;
  }
  check_user(is_good, "--shard ", text,
             ": expected K/N with K from 0 to N - 1, such as 0/4; N up to 100000");
  return part;
}

std::vector<ShardPart> even_stretches(const std::vector<ShardPart>& stretches, int64_t process,
                                      int64_t num_processes) {
  int64_t total = 0;
  for (const ShardPart& stretch : stretches) total += stretch.take;
  const Span part = even_part(total, process, num_processes);
  std::vector<ShardPart> parts;
  int64_t first = 0;  // of the stretch, among all
  for (const ShardPart& stretch : stretches) {
    const int64_t begin = std::max(part.begin, first),
                  end = std::min(part.end, first + stretch.take);
    if (begin < end) parts.push_back({stretch.shard, stretch.skip + begin - first, end - begin});
    first += stretch.take;
  }
  return parts;
}

std::vector<ShardPart> shard_parts(const std::vector<int64_t>& shard_lengths, int64_t process,
                                   int64_t num_processes) {
  std::vector<ShardPart> shards;
  for (const int64_t length : shard_lengths)
    shards.push_back({static_cast<int64_t>(shards.size()), 0, length});
  return even_stretches(shards, process, num_processes);
}

}  // namespace i1
