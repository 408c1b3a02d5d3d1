#include "i1/eval/retrieval.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "i1/core/error.h"

namespace i1 {
namespace {

constexpr int64_t kGrid = 16;

at::Tensor distances(const at::Tensor& queries, const at::Tensor& gallery) {
  return at::cdist(queries.to(at::kDouble), gallery.to(at::kDouble));  // (n, m)
}

}  // namespace

at::Tensor retrieval_features(const at::Tensor& pictures) {
  const at::Tensor planes = pictures.permute({0, 3, 1, 2}).to(at::kFloat) / 255;  // (n, 3, R, R)
  return at::adaptive_avg_pool2d(planes, {kGrid, kGrid}).flatten(1);              // (n, 768)
}

std::vector<int64_t> retrieval_ranks(const at::Tensor& queries, const at::Tensor& gallery,
                                     const std::vector<int64_t>& truth) {
  check_user(queries.size(0) == static_cast<int64_t>(truth.size()), "retrieval: ", queries.size(0),
             " queries and ", truth.size(), " answers");
  const at::Tensor all = distances(queries, gallery);  // (n, m)
  std::vector<int64_t> ranks;
  for (int64_t i = 0; i < all.size(0); ++i) {
    const at::Tensor nearer = all[i] <= all[i][truth[i]];  // (m), the truth itself among them
    ranks.push_back(nearer.sum().item<int64_t>() - 1);
  }
  return ranks;
}

void RetrievalTally::add(const at::Tensor& queries, const at::Tensor& gallery,
                         const std::vector<int64_t>& truth) {
  const at::Tensor all = distances(queries, gallery);
  const double size = static_cast<double>(gallery.size(0));
  const std::vector<int64_t> ranks = retrieval_ranks(queries, gallery, truth);
  for (size_t i = 0; i < ranks.size(); ++i) {
    ++sums_.num_queries;
    sums_.top1 += ranks[i] < 1;
    sums_.top5 += ranks[i] < 5;
    sums_.chance_top1 += 1 / size;
    sums_.chance_top5 += std::min(5 / size, 1.0);
    sums_.mean_distance_to_truth += all[static_cast<int64_t>(i)][truth[i]].item<double>();
  }
}

RetrievalScore RetrievalTally::score() const {
  RetrievalScore mean = sums_;
  if (mean.num_queries == 0) return mean;
  for (double* sum : {&mean.top1, &mean.top5, &mean.chance_top1, &mean.chance_top5,
                      &mean.mean_distance_to_truth}) {
    *sum /= static_cast<double>(mean.num_queries);
  }
  return mean;
}

}  // namespace i1
