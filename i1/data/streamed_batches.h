// Batches for training straight from TFRecord sets: for data that is read a few times only, where a
// latent cache does not pay. Draw k picks a data set by weight, takes that set's next record
// (record_stream.h), decodes its picture and draws one of its captions; bad records are counted by
// reason and skipped. Results do not depend on threads, and resuming is exact.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "i1/data/bad_records.h"
#include "i1/data/mixing.h"
#include "i1/data/record_stream.h"

namespace i1 {

struct StreamOptions {
  int64_t resolution = 0;       ///< pictures of another size are resized and cropped
  std::vector<double> weights;  ///< one a data set; empty = equal
  double caption_dropout = 0.1;
  uint64_t seed = 0;
  int64_t shuffle_buffer = 10000;  ///< records in all; a data set gets its share of them
  double subset_fraction = 1;      ///< of each data set (subset.h)
  bool needs_caption = false;      ///< skip records without a caption; else theirs is ""
  double max_bad_fraction = 0.01;  ///< of the records read, below 1, above which the run stops
  int64_t process = 0, num_processes = 1;
  int num_threads = 2;  ///< that decode ahead
};

struct StreamedExample {
  int64_t data_set = 0;
  std::string name;
  std::string caption;      ///< one of the record's, UTF-8; "" where it has none
  bool is_dropped = false;  ///< the null caption takes its place
};

struct StreamedBatch {
  at::Tensor pictures;  ///< (B, R, R, 3) uint8
  std::vector<StreamedExample> examples;
};

struct StreamPosition {
  int64_t num_draws = 0;
  int64_t num_read = 0;  ///< records, bad ones included; those of a process that ended count here
  std::vector<RecordOrderState> orders;
  std::vector<BadRecords> bad;  ///< of each data set

  bool operator==(const StreamPosition&) const = default;
};
nlohmann::ordered_json to_json(const StreamPosition& position);
StreamPosition stream_position_from_json(const nlohmann::json& json, const std::string& where);

class StreamedBatches {
 public:
  /// Throws UserError where a folder is no data set, weights do not fit, or a set with weight has
  /// no records.
  StreamedBatches(const std::vector<std::filesystem::path>& folders, const StreamOptions& options);
  ~StreamedBatches();
  StreamedBatches(const StreamedBatches&) = delete;
  StreamedBatches& operator=(const StreamedBatches&) = delete;

  /// This process's next `batch_size` examples. Throws UserError where more than `max_bad_fraction`
  /// of the records read so far (of 1,000 at least) were bad; it names the worst data set.
  StreamedBatch next(int64_t batch_size);

  /// Behind the last example that `next` returned. Every process has its own.
  StreamPosition position() const;
  void restore(const StreamPosition& position);

  /// Goes on from the positions of all processes of a run, in their order. The same number as now:
  /// exactly where this process was. Another number: what the old processes had left is shared out
  /// evenly, so that no example is lost or comes twice in an epoch (RecordOrder::take_over).
  void restore(const std::vector<StreamPosition>& positions);

  /// Of all data sets.
  BadRecords bad_records() const;
  int64_t num_records(int64_t data_set) const {
    return records_[static_cast<size_t>(data_set)]->num_records();
  }

 private:
  struct Draw;
  struct Result;
  struct Chunk;

  // Which record each draw takes. Two of them walk the same way: one ahead, for the threads, one at
  // the examples that were handed out, which is where a run resumes.
  struct Planner {
    int64_t num_draws = 0;
    int64_t num_read = 0;
    std::vector<RecordOrder> orders;
  };
  void check_fits(const StreamPosition& position) const;
  Draw plan(Planner& planner) const;
  Result make(const Draw& draw) const;
  Result take();
  void work();

  const StreamOptions options_;
  std::vector<std::shared_ptr<const RecordSet>> records_;
  const Mixture mixture_;
  const RandomStream stream_;
  Planner consumed_;
  std::vector<std::string> names_;
  std::vector<BadRecords> bad_;     // of each data set
  std::shared_ptr<Chunk> current_;  // whose results `next` is handing out
  size_t next_in_current_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable has_room_, is_made_;
  Planner ahead_;
  std::deque<std::shared_ptr<Chunk>> chunks_;  // in the order of the run
  size_t max_chunks_ = 0;
  bool is_stopping_ = false, has_failed_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace i1
