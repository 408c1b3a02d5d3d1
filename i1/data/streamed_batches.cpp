#include "i1/data/streamed_batches.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>

#include "i1/core/config.h"
#include "i1/core/error.h"
#include "i1/data/example.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kDrawsPerChunk = 8;
constexpr int64_t kBatchesAhead = 2;

// Numbers of a draw's own stream.
enum DrawIndex : uint64_t { kDataSet = 0, kCaption = 1, kDropout = 2 };

std::vector<double> weights_of(const StreamOptions& options, size_t num_sets) {
  check_user(num_sets > 0, "no data set to train on");
  check_user(options.weights.empty() || options.weights.size() == num_sets, options.weights.size(),
             " weights for ", num_sets, " data sets");
  return options.weights.empty() ? std::vector<double>(num_sets, 1.0) : options.weights;
}

}  // namespace

struct StreamedBatches::Draw {
  int64_t number, data_set;
  RecordPlace place;
};

struct StreamedBatches::Result {
  StreamedExample example;
  Image picture;
  std::optional<RecordError> error;  ///< of a bad record
};

struct StreamedBatches::Chunk {
  std::vector<Draw> draws;
  std::vector<Result> results;
  std::exception_ptr error;
  bool is_made = false;
};

nlohmann::ordered_json to_json(const StreamPosition& position) {
  nlohmann::ordered_json orders = nlohmann::ordered_json::array();
  for (const RecordOrderState& order : position.orders) orders.push_back(to_json(order));
  nlohmann::ordered_json bad = nlohmann::ordered_json::array();
  for (const BadRecords& of_set : position.bad) bad.push_back(to_json(of_set));
  return {{"num_draws", position.num_draws},
          {"num_read", position.num_read},
          {"orders", orders},
          {"bad", bad}};
}

StreamPosition stream_position_from_json(const nlohmann::json& json, const std::string& where) {
  StreamPosition position;
  try {
    position.num_draws = json.at("num_draws").get<int64_t>();
    position.num_read = json.at("num_read").get<int64_t>();
    for (const nlohmann::json& order : json.at("orders"))
      from_json(position.orders.emplace_back(), order, where);
    for (const nlohmann::json& bad : json.at("bad"))
      from_json(position.bad.emplace_back(), bad, where);
  } catch (const nlohmann::json::exception& error) {
    throw UserError(where + ": not a position in the data: " + error.what());
  }
  return position;
}

StreamedBatches::StreamedBatches(const std::vector<fs::path>& folders, const StreamOptions& options)
    : options_(options),
      mixture_(weights_of(options, folders.size())),
      stream_{options.seed, fnv1a("stream")} {
  check_user(options.resolution > 0, "pictures of ", options.resolution, " pixels");
  check_user(options.max_bad_fraction >= 0 && options.max_bad_fraction < 1,
             "a fraction of bad records of ", options.max_bad_fraction, ", expected 0 to below 1");
  for (size_t i = 0; i < folders.size(); ++i) {
    records_.push_back(std::make_shared<const RecordSet>(folders[i]));
    const double share = mixture_.shares()[i];
    check_user(share == 0 || records_.back()->num_records() > 0, folders[i].string(),
               ": the data set has no records");
    const RecordOrderOptions order = {options.process, options.num_processes,
                                      options.subset_fraction,
                                      shuffle_buffer_size(share, options.shuffle_buffer)};
    consumed_.orders.emplace_back(records_.back(), stream_.child(records_.back()->name()), order);
    names_.push_back(folders[i].string());
  }
  bad_.resize(folders.size());
  ahead_ = consumed_;
  for (int i = 0; i < std::max(1, options.num_threads); ++i)
    threads_.emplace_back([this] { work(); });
}

StreamedBatches::~StreamedBatches() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  has_room_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

StreamedBatches::Draw StreamedBatches::plan(Planner& planner) const {
  // Processes draw on their own: each has its own records.
  const RandomStream own = stream_.child("draw", static_cast<uint64_t>(planner.num_draws),
                                         static_cast<uint64_t>(options_.process));
  const int64_t data_set = mixture_.pick(own.uniform(kDataSet));
  const RecordPlace place = planner.orders[static_cast<size_t>(data_set)].next();
  ++planner.num_read;
  return {planner.num_draws++, data_set, place};
}

StreamedBatches::Result StreamedBatches::make(const Draw& draw) const {
  const RandomStream own = stream_.child("draw", static_cast<uint64_t>(draw.number),
                                         static_cast<uint64_t>(options_.process));
  const RecordSet& records = *records_[static_cast<size_t>(draw.data_set)];
  const std::string where = concat(records.name(), "/", records.shard_name(draw.place.shard),
                                   ", record ", draw.place.index);
  Result result;
  result.example.data_set = draw.data_set;
  try {
    RecordReader reader = records.open(draw.place.shard);
    reader.seek(static_cast<uint64_t>(draw.place.offset));
    const std::optional<std::string_view> payload = reader.next();
    check_record(payload.has_value(), "cut off", where, ": the shard ends before it");
    Example example = parse_stored_example(*payload, where);
    check_captions(example, options_.needs_caption, where);
    const auto side = static_cast<int>(options_.resolution);
    result.picture = fit_picture(decode_picture(example, where), {side, side}, where);
    const auto num_captions = static_cast<int64_t>(example.captions.size());
    if (num_captions > 0) {
      result.example.caption =
          std::move(example.captions[static_cast<size_t>(own.below(kCaption, num_captions))]);
    }
    result.example.name = std::move(example.image_name);
    result.example.is_dropped = own.uniform(kDropout) < options_.caption_dropout;
  } catch (const RecordError& error) {
    result.error = error;
  }
  return result;
}

void StreamedBatches::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    has_room_.wait(lock,
                   [&] { return is_stopping_ || (!has_failed_ && chunks_.size() < max_chunks_); });
    if (is_stopping_) return;
    const auto chunk = std::make_shared<Chunk>();
    chunks_.push_back(chunk);
    try {
      while (chunk->draws.size() < kDrawsPerChunk) chunk->draws.push_back(plan(ahead_));
      lock.unlock();
      for (const Draw& draw : chunk->draws) chunk->results.push_back(make(draw));
    } catch (...) {
      chunk->error = std::current_exception();
    }
    if (!lock.owns_lock()) lock.lock();
    chunk->is_made = true;
    // Of a chunk that `restore` has thrown away nobody wants to know.
    const bool is_wanted = std::find(chunks_.begin(), chunks_.end(), chunk) != chunks_.end();
    has_failed_ = has_failed_ || (is_wanted && chunk->error);
    is_made_.notify_all();
  }
}

// The next result in order, good or bad.
StreamedBatches::Result StreamedBatches::take() {
  if (!current_ || next_in_current_ == current_->results.size()) {
    std::unique_lock lock(mutex_);
    is_made_.wait(lock, [&] { return !chunks_.empty() && chunks_.front()->is_made; });
    current_ = chunks_.front();
    next_in_current_ = 0;
    if (current_->error) std::rethrow_exception(current_->error);
    chunks_.pop_front();
    has_room_.notify_all();
  }
  plan(consumed_);
  return std::move(current_->results[next_in_current_++]);
}

StreamedBatch StreamedBatches::next(int64_t batch_size) {
  {
    const std::lock_guard lock(mutex_);
    const auto wanted = static_cast<size_t>(kBatchesAhead * batch_size) / kDrawsPerChunk + 1;
    max_chunks_ = std::max(wanted, threads_.size());
  }
  has_room_.notify_all();
  StreamedBatch batch;
  batch.pictures = at::empty({batch_size, options_.resolution, options_.resolution, 3}, at::kByte);
  uint8_t* out = batch.pictures.data_ptr<uint8_t>();
  while (static_cast<int64_t>(batch.examples.size()) < batch_size) {
    Result result = take();
    if (result.error) {
      bad_[static_cast<size_t>(result.example.data_set)].add(*result.error);
      check_bad_fraction(bad_, names_, options_.max_bad_fraction, consumed_.num_read);
      continue;
    }
    out = std::copy(result.picture.pixels.begin(), result.picture.pixels.end(), out);
    batch.examples.push_back(std::move(result.example));
  }
  return batch;
}

BadRecords StreamedBatches::bad_records() const {
  BadRecords sum;
  for (const BadRecords& of_set : bad_) sum.add(of_set);
  return sum;
}

StreamPosition StreamedBatches::position() const {
  StreamPosition position{consumed_.num_draws, consumed_.num_read, {}, bad_};
  for (const RecordOrder& order : consumed_.orders) position.orders.push_back(order.state());
  return position;
}

void StreamedBatches::check_fits(const StreamPosition& position) const {
  check_user(position.orders.size() == records_.size() && position.bad.size() == records_.size(),
             "the checkpoint was trained on ", position.orders.size(), " data sets, this run has ",
             records_.size());
}

void StreamedBatches::restore(const StreamPosition& position) {
  check_fits(position);
  Planner planner = consumed_;
  planner.num_draws = position.num_draws;
  planner.num_read = position.num_read;
  for (size_t i = 0; i < planner.orders.size(); ++i) planner.orders[i].restore(position.orders[i]);
  bad_ = position.bad;
  current_ = nullptr;
  const std::lock_guard lock(mutex_);
  chunks_.clear();
  consumed_ = planner;
  ahead_ = std::move(planner);
  has_failed_ = false;
  has_room_.notify_all();
}

void StreamedBatches::restore(const std::vector<StreamPosition>& positions) {
  check_user(!positions.empty(), "no stored position to go on from");
  for (const StreamPosition& position : positions) check_fits(position);
  if (static_cast<int64_t>(positions.size()) == options_.num_processes)
    return restore(positions[static_cast<size_t>(options_.process)]);
  StreamPosition own;
  own.bad.resize(records_.size());
  for (const StreamPosition& position : positions) {
    own.num_draws = std::max(own.num_draws, position.num_draws);  // no random number comes twice
    if (options_.process > 0) continue;  // what was read and was bad is counted once
    own.num_read += position.num_read;
    for (size_t i = 0; i < own.bad.size(); ++i) own.bad[i].add(position.bad[i]);
  }
  for (size_t i = 0; i < records_.size(); ++i) {
    std::vector<RecordOrderState> states;
    for (const StreamPosition& position : positions) states.push_back(position.orders[i]);
    own.orders.push_back(consumed_.orders[i].take_over(states));
  }
  restore(own);
}

}  // namespace i1
