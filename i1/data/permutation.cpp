#include "i1/data/permutation.h"

namespace i1 {
namespace {

constexpr uint32_t kNumRounds = 12;  // with 6, places are visibly unequal where n is below 20

}  // namespace

int64_t permuted(int64_t position, int64_t n, const RandomStream& stream) {
  int half_bits = 1;
  while ((uint64_t{1} << 2 * half_bits) < static_cast<uint64_t>(n)) ++half_bits;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  auto value = static_cast<uint64_t>(position);
  do {  // fewer than four times on average
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint32_t round = 0; round < kNumRounds; ++round) {
      const std::array<uint32_t, 4> bits =
          philox({static_cast<uint32_t>(right), round, static_cast<uint32_t>(stream.id),
                  static_cast<uint32_t>(stream.id >> 32)},
                 {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)});
      const uint64_t next = left ^ (bits[0] & mask);
      left = right;
      right = next;
    }
    value = left << half_bits | right;
  } while (value >= static_cast<uint64_t>(n));
  return static_cast<int64_t>(value);
}

}  // namespace i1
