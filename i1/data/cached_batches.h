// Batches for training from latent caches. Every draw follows from the seed and a few counters, so
// a run resumes at any step with nothing stored but those counters, and the order does not depend
// on threads or the number of processes.
//
// With buckets (i1/io/buckets.h) a batch is of one: it is picked by how often its examples are
// drawn, then data sets by how often theirs in it are. So every example comes as often as without.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "i1/core/random.h"
#include "i1/data/cache.h"
#include "i1/data/mixing.h"
#include "i1/data/permutation.h"

namespace i1 {

/// One example of a batch.
struct Draw {
  int64_t data_set = 0, example = 0;
  int64_t row = 0;       ///< of its bucket
  int64_t caption = -1;  ///< among the data set's distinct captions; -1 = the example has none
  bool is_dropped =
      false;  ///< the null caption takes the caption's place, under the caption's mask
};

struct Batch {
  std::vector<Draw> draws;
  at::Tensor latents;  ///< (B, C, h, w) float32
};

/// Where a run is in its data: how many examples were drawn in all and from each data set (its
/// buckets one after the other, then those of the next).
struct DataPosition {
  int64_t num_draws = 0;
  std::vector<int64_t> draws_of_set;

  static void fields(auto& self, auto&& visit) {
    visit("num_draws", self.num_draws);
    visit("draws_of_set", self.draws_of_set);
  }
  bool operator==(const DataPosition&) const = default;
};

struct BatchOptions {
  int64_t process = 0, num_processes = 1;  ///< each takes its part of every global batch
  int num_threads = 2;                     ///< that read ahead
  int64_t num_ahead = 4;                   ///< batches that may wait
  int64_t max_caption_tokens = 0;          ///< longer captions are not drawn; 0 = all may be
};

class CachedBatches {
 public:
  /// weights: one a cache, not negative, not all zero; each draw picks a data set by weight, then
  /// takes the next example of that set's current permutation (a new one each epoch, keyed by the
  /// set's name), then uniformly one of its captions of at most max_caption_tokens (its shortest
  /// where none is). Throws UserError where weights do not fit or caches were made differently.
  CachedBatches(std::vector<LatentCache> caches, std::vector<double> weights,
                double caption_dropout, uint64_t seed, const BatchOptions& options = {});
  ~CachedBatches();
  CachedBatches(const CachedBatches&) = delete;
  CachedBatches& operator=(const CachedBatches&) = delete;

  /// This process's part, `batch_size` examples, of the next global batch of `batch_size` times
  /// `num_processes`. Batches behind it are read meanwhile; another size than before starts that
  /// anew. Throws UserError where a cache turns out to be damaged.
  Batch next(int64_t batch_size);

  /// Behind the last batch that `next` returned; the same in every process.
  DataPosition position() const { return position_; }
  /// Goes on from there. Throws UserError where the number of data sets differs.
  void restore(const DataPosition& position);

  const std::vector<LatentCache>& caches() const { return caches_; }

 private:
  struct Place;
  struct Slot;
  /// A bucket that has examples, and how often which data set gives one.
  struct Pool {
    int64_t bucket;
    double weight;
    Mixture data_sets;
  };
  static std::vector<Pool> make_pools(const std::vector<LatentCache>& caches,
                                      const std::vector<double>& weights);
  static Mixture mixture_of(const std::vector<Pool>& pools);
  size_t num_buckets() const { return static_cast<size_t>(caches_.front().num_buckets()); }
  std::vector<Place> plan(DataPosition& position) const;
  Draw draw(const Place& place) const;
  std::vector<int64_t> drawable_captions(const LatentCache& cache, int64_t example) const;
  Batch make(const std::vector<Place>& places) const;
  void start_at(const DataPosition& position, int64_t batch_size);
  void work();

  const std::vector<LatentCache> caches_;
  const std::vector<Pool> pools_;
  const Mixture pool_mixture_;
  const double caption_dropout_;
  const RandomStream stream_;
  const BatchOptions options_;
  DataPosition position_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable has_room_, is_made_;
  std::deque<std::shared_ptr<Slot>> slots_;  // in the order of the run
  DataPosition planned_;                     // behind the last slot
  int64_t batch_size_ = 0;                   // 0: nothing was asked for yet
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace i1
