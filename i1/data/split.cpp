#include "i1/data/split.h"

#include <algorithm>
#include <numeric>

namespace i1 {

Span even_part(int64_t total, int64_t index, int64_t num_parts) {
  const int64_t size = total / num_parts, num_larger = total % num_parts;
  const auto begin = [&](int64_t part) { return part * size + std::min(part, num_larger); };
  return {begin(index), begin(index + 1)};
}

std::vector<ShardPart> shard_parts(const std::vector<int64_t>& shard_lengths, int64_t process,
                                   int64_t num_processes) {
  const int64_t total = std::accumulate(shard_lengths.begin(), shard_lengths.end(), int64_t{0});
  const Span part = even_part(total, process, num_processes);
  std::vector<ShardPart> parts;
  int64_t shard_begin = 0;
  for (size_t shard = 0; shard < shard_lengths.size(); ++shard) {
    const int64_t shard_end = shard_begin + shard_lengths[shard];
    const int64_t begin = std::max(part.begin, shard_begin), end = std::min(part.end, shard_end);
    if (begin < end)
      parts.push_back({static_cast<int64_t>(shard), begin - shard_begin, end - begin});
    shard_begin = shard_end;
  }
  return parts;
}

}  // namespace i1
