#include "i1/io/buckets.h"

#include <algorithm>

#include "i1/core/error.h"

namespace i1 {

Buckets usual_buckets(int64_t resolution) {
  constexpr int64_t kShares = 16, kPatch = 16;
  return {.unit = (resolution + kShares * kPatch - 1) / (kShares * kPatch) * kPatch};
}

std::vector<ImageSize> bucket_sizes(const Buckets& buckets, int64_t resolution) {
  const int64_t R = resolution, unit = buckets.unit;
  if (unit == 0) return {{static_cast<int>(R), static_cast<int>(R)}};
  check_user(unit > 0 && R > 0 && R % unit == 0, "buckets of multiples of ", unit,
             " pixels: expected a divisor of the resolution, ", R);
  check_user(buckets.max_aspect >= 1, "buckets: max_aspect is ", buckets.max_aspect,
             ", expected 1 or more");
  std::vector<ImageSize> sizes;
  for (int64_t shorter = R; shorter > 0; shorter -= unit) {
    const int64_t longer = R * R / shorter / unit * unit;
    if (static_cast<double>(longer) > buckets.max_aspect * static_cast<double>(shorter)) break;
    sizes.push_back({static_cast<int>(shorter), static_cast<int>(longer)});
  }
  std::reverse(sizes.begin(), sizes.end());  // tall ones, and the square
  for (size_t i = sizes.size() - 1; i > 0; --i)
    sizes.push_back({sizes[i - 1].height, sizes[i - 1].width});
  return sizes;
}

int64_t nearest_bucket(const std::vector<ImageSize>& sizes, double width, double height) {
  const auto kept_share = [&](const ImageSize& size) {
    const double ratio = width * size.height / (height * size.width);
    return std::min(ratio, 1 / ratio);
  };
  return std::ranges::max_element(sizes, {}, kept_share) - sizes.begin();
}

}  // namespace i1
