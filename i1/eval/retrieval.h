// Does a generated picture show what its caption says? Measured without a pretrained judge: the
// true pictures of the same style are ranked by their distance to it, and the right one should come
// first.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace i1 {

/// Pictures as points: RGB averaged to a 16 x 16 grid, in [0, 1]. pictures: (n, R, R, 3) uint8, R a
/// multiple of 16. Returns (n, 768) float32.
at::Tensor retrieval_features(const at::Tensor& pictures);

/// The rank (0 = nearest) of the right gallery picture for each query, by Euclidean distance. An
/// equally near other picture counts as nearer, so a constant picture finds nothing. queries: (n,
/// 768); gallery: (m, 768); truth: n indices into the gallery.
std::vector<int64_t> retrieval_ranks(const at::Tensor& queries, const at::Tensor& gallery,
                                     const std::vector<int64_t>& truth);

struct RetrievalScore {
  int64_t num_queries = 0;
  double top1 = 0, top5 = 0;  ///< share of queries whose truth is among the 1 and 5 nearest
  double chance_top1 = 0,
         chance_top5 = 0;  ///< the same for a random order, averaged over the queries' galleries
  double mean_distance_to_truth = 0;
};

/// Adds queries against one gallery (one style) to a score over several.
class RetrievalTally {
 public:
  void add(const at::Tensor& queries, const at::Tensor& gallery, const std::vector<int64_t>& truth);
  RetrievalScore score() const;  ///< zeros where nothing was added

 private:
  RetrievalScore sums_;
};

}  // namespace i1
