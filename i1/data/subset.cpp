#include "i1/data/subset.h"

#include <farmhash.h>

namespace i1 {
namespace {

constexpr int64_t kNumBuckets = 2147483647;  // 2^31 - 1

}  // namespace

uint64_t fingerprint64(std::string_view text) {
  return util::Fingerprint64(text.data(), text.size());
}

int64_t subset_bucket(std::string_view id) {
  constexpr const char* kSalt = "0";
  return static_cast<int64_t>(fingerprint64(std::string(id) + kSalt) % kNumBuckets);
}

std::string example_id(std::string_view file_name, int64_t index) {
  return std::string(file_name) + "__" + std::to_string(index);
}

bool is_in_subset(std::string_view id, double fraction) {
  return subset_bucket(id) < static_cast<int64_t>(kNumBuckets * fraction);
}

}  // namespace i1
