// Multi-aspect training: pictures keep about their shape. A bucket is a size at the pixel count of
// the square; a picture goes into the one that cuts least of it, and a batch is of one bucket. The
// same list serves building, caching, training and generation.
#pragma once

#include <cstdint>
#include <vector>

#include "i1/io/image.h"

namespace i1 {

/// Which sizes there are beside the square; none by default.
struct Buckets {
  int64_t unit = 0;       ///< pixels: all sides are multiples of it; 0 = the square alone
  double max_aspect = 2;  ///< longer side over shorter, at most

  static void fields(auto& self, auto&& visit) {
    visit("unit", self.unit);
    visit("max_aspect", self.max_aspect);
  }
  bool operator==(const Buckets&) const = default;
};

/// Sides in sixteenths of R, rounded up to whole patches of 16 pixels: nine shapes up to 7:4 at 256
/// pixels and above, five at 128, three at 64.
Buckets usual_buckets(int64_t resolution);

/// From the tallest to the widest. For each shorter side the longest longer one that keeps the
/// pixels at R * R or below, while the aspect is allowed. Throws UserError where R is no multiple
/// of the unit.
std::vector<ImageSize> bucket_sizes(const Buckets& buckets, int64_t resolution);

/// The size that cuts the smallest share of a picture that is scaled to cover it; of equals the
/// first. width, height: at least 1.
int64_t nearest_bucket(const std::vector<ImageSize>& sizes, double width, double height);

}  // namespace i1
