// How often each data set is drawn.
#pragma once

#include <cstdint>
#include <vector>

namespace i1 {

/// The weights of the experiments: a set's number of examples, cut at `threshold`. (The recipes
/// weigh all sets equally.)
std::vector<double> count_weights(const std::vector<int64_t>& counts,
                                  int64_t threshold = INT64_MAX);

/// Weights scaled to sum 1. Throws UserError where there are none, one is negative or not finite,
/// or all are 0.
std::vector<double> shares_of(const std::vector<double>& weights);

/// Shuffle buffer of a data set that has this share of the draws: trunc(base * share). 0 = its
/// examples are not shuffled.
int64_t shuffle_buffer_size(double share, int64_t base = 10000);

/// Picks data sets by weight.
class Mixture {
 public:
  /// Throws as `shares_of`.
  explicit Mixture(const std::vector<double>& weights);

  /// The data set that a uniform number in [0, 1) falls on.
  int64_t pick(double uniform) const;
  const std::vector<double>& shares() const { return shares_; }

 private:
  std::vector<double> shares_, cumulative_;
};

}  // namespace i1
