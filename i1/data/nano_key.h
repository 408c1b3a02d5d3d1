// Everything that `i1 data build nano` decides (what is hidden, which colour, which place) follows
// from the hash of a key, so that every machine, order and thread count gives the same data.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace i1 {

/// FNV-1a, 64 bit (offset 0xcbf29ce484222325, prime 0x100000001b3) over the bytes of `key`, then
/// the 64-bit finaliser of MurmurHash3 (shifts 33, factors 0xff51afd7ed558ccd and
/// 0xc4ceb9fe1a85ec53).
uint64_t key_hash(std::string_view key);

/// key_hash(key) / 2^64, in [0, 1): `key_share(key) < 0.1` picks a tenth of all keys.
double key_share(std::string_view key);

/// A stream of draws that belongs to one key: SplitMix64 (Steele et al., 2014), its state starting
/// at key_hash(key).
class KeyDraws {
 public:
  explicit KeyDraws(std::string_view key) : state_(key_hash(key)) {}

  uint64_t bits();
  double uniform(double low = 0, double high = 1);  ///< in [low, high)
  int64_t index(int64_t size);                      ///< in [0, size), size >= 1
  bool chance(double probability) { return uniform() < probability; }

  template <class T>
  const T& pick(const std::vector<T>& entries) {
    return entries[static_cast<size_t>(index(static_cast<int64_t>(entries.size())))];
  }
  template <class T>
  void shuffle(std::vector<T>& entries) {
    for (size_t i = entries.size(); i > 1; --i)
      std::swap(entries[i - 1], entries[static_cast<size_t>(index(static_cast<int64_t>(i)))]);
  }

 private:
  uint64_t state_;
};

}  // namespace i1
