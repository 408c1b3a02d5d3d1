#include "i1/data/mixing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "i1/core/error.h"

namespace i1 {

std::vector<double> count_weights(const std::vector<int64_t>& counts, int64_t threshold) {
  std::vector<double> weights;
  for (const int64_t count : counts)
    weights.push_back(static_cast<double>(std::min(count, threshold)));
  return weights;
}

std::vector<double> shares_of(const std::vector<double>& weights) {
  for (const double weight : weights) {
    check_user(weight >= 0 && std::isfinite(weight), "a data set's weight is ", weight,
               ", expected 0 or more");
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  check_user(sum > 0, "all weights of the data sets are 0");
  std::vector<double> shares;
  for (const double weight : weights) shares.push_back(weight / sum);
  return shares;
}

int64_t shuffle_buffer_size(double share, int64_t base) {
  return static_cast<int64_t>(static_cast<double>(base) * share);
}

Mixture::Mixture(const std::vector<double>& weights) : shares_(shares_of(weights)) {
  std::partial_sum(shares_.begin(), shares_.end(), std::back_inserter(cumulative_));
}

int64_t Mixture::pick(double uniform) const {
  // Scaled by the rounded sum, so that a set of weight 0 at the end is never met.
  const auto found =
      std::upper_bound(cumulative_.begin(), cumulative_.end(), uniform * cumulative_.back());
  return std::min<int64_t>(found - cumulative_.begin(),
                           static_cast<int64_t>(cumulative_.size()) - 1);
}

}  // namespace i1
