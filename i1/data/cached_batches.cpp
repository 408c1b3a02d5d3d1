#include "i1/data/cached_batches.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include "i1/core/error.h"

namespace i1 {
namespace {

// Numbers of a draw's own stream.
enum DrawIndex : uint64_t { kDataSet = 0, kCaption = 1, kDropout = 2, kBucket = 3 };

}  // namespace

// A draw before anything is read for it.
struct CachedBatches::Place {
  int64_t draw, data_set, bucket;
  int64_t count;  ///< earlier draws from that bucket of that data set
};

struct CachedBatches::Slot {
  std::vector<Place> places;
  DataPosition position_after;
  Batch batch;
  std::exception_ptr error;
  bool is_made = false;
};

CachedBatches::CachedBatches(std::vector<LatentCache> caches, std::vector<double> weights,
                             double caption_dropout, uint64_t seed, const BatchOptions& options)
    : caches_(std::move(caches)),
      pools_(make_pools(caches_, weights)),
      pool_mixture_(mixture_of(pools_)),
      caption_dropout_(caption_dropout),
      stream_{seed, fnv1a("data")},
      options_(options) {
  position_.draws_of_set.assign(caches_.size() * num_buckets(), 0);
  for (int i = 0; i < std::max(1, options_.num_threads); ++i)
    threads_.emplace_back([this] { work(); });
}

std::vector<CachedBatches::Pool> CachedBatches::make_pools(const std::vector<LatentCache>& caches,
                                                           const std::vector<double>& weights) {
  check_user(!caches.empty(), "no data set to train on");
  check_user(weights.size() == caches.size(), weights.size(), " weights for ", caches.size(),
             " data sets");
  for (const LatentCache& cache : caches) {
    check_same_origin(caches.front(), cache);
    check_user(cache.size() > 0, "data set ", cache.name(), " has no examples");
  }
  shares_of(weights);  // throws where they are none
  std::vector<Pool> pools;
  for (int64_t bucket = 0; bucket < caches.front().num_buckets(); ++bucket) {
    std::vector<double> parts;
    for (size_t i = 0; i < caches.size(); ++i) {
      parts.push_back(weights[i] * static_cast<double>(caches[i].bucket_size(bucket)) /
                      static_cast<double>(caches[i].size()));
    }
    const double weight = std::accumulate(parts.begin(), parts.end(), 0.0);
    if (weight > 0) pools.push_back({bucket, weight, Mixture(parts)});
  }
  return pools;
}

Mixture CachedBatches::mixture_of(const std::vector<Pool>& pools) {
  std::vector<double> weights;
  for (const Pool& pool : pools) weights.push_back(pool.weight);
  return Mixture(weights);
}

CachedBatches::~CachedBatches() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  has_room_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

// Every process walks through all draws, so that all stand at the same position, and keeps its own.
std::vector<CachedBatches::Place> CachedBatches::plan(DataPosition& position) const {
  const auto stream_of = [&](int64_t number) {
    return stream_.child("draw", static_cast<uint64_t>(number));
  };
  const Pool& pool = pools_[static_cast<size_t>(
      pool_mixture_.pick(stream_of(position.num_draws).uniform(kBucket)))];
  std::vector<Place> places;
  for (int64_t i = 0; i < batch_size_ * options_.num_processes; ++i) {
    const int64_t number = position.num_draws++;
    const int64_t data_set = pool.data_sets.pick(stream_of(number).uniform(kDataSet));
    const auto counter = static_cast<size_t>(data_set) * num_buckets() + pool.bucket;
    const int64_t count = position.draws_of_set[counter]++;
    if (i / batch_size_ == options_.process)
      places.push_back({number, data_set, pool.bucket, count});
  }
  return places;
}

std::vector<int64_t> CachedBatches::drawable_captions(const LatentCache& cache,
                                                      int64_t example) const {
  std::vector<int64_t> captions;
  for (int64_t i = 0; i < cache.num_captions(example); ++i)
    captions.push_back(cache.caption(example, i));
  if (options_.max_caption_tokens == 0 || captions.empty()) return captions;
  const auto length = [&](int64_t caption) { return cache.num_tokens(caption); };
  const int64_t shortest = std::ranges::min(captions, {}, length);
  const int64_t longest_allowed = std::max(options_.max_caption_tokens, length(shortest));
  std::erase_if(captions, [&](int64_t caption) { return length(caption) > longest_allowed; });
  return captions;
}

Draw CachedBatches::draw(const Place& place) const {
  const RandomStream own = stream_.child("draw", static_cast<uint64_t>(place.draw));
  const LatentCache& cache = caches_[static_cast<size_t>(place.data_set)];
  const int64_t size = cache.bucket_size(place.bucket);
  const RandomStream epoch = stream_.child(cache.name(), static_cast<uint64_t>(place.count / size),
                                           static_cast<uint64_t>(place.bucket));
  Draw draw{place.data_set};
  draw.row = permuted(place.count % size, size, epoch);
  draw.example = cache.example_of(draw.row, place.bucket);
  const std::vector<int64_t> captions = drawable_captions(cache, draw.example);
  if (!captions.empty())
    draw.caption = captions[own.below(kCaption, static_cast<int64_t>(captions.size()))];
  draw.is_dropped = own.uniform(kDropout) < caption_dropout_;
  return draw;
}

// No operation of LibTorch that runs in parallel: each of our threads would bring its own team.
Batch CachedBatches::make(const std::vector<Place>& places) const {
  Batch batch;
  const LatentCache& any = caches_[static_cast<size_t>(places.front().data_set)];
  std::vector<int64_t> shape = any.latent_shape(places.front().bucket);
  shape.insert(shape.begin(), static_cast<int64_t>(places.size()));
  batch.latents = at::empty(shape, at::kFloat);
  float* out = batch.latents.data_ptr<float>();
  for (const Place& place : places) {
    batch.draws.push_back(draw(place));
    const at::Tensor latent =
        caches_[static_cast<size_t>(place.data_set)].latent(batch.draws.back().row, place.bucket);
    const auto* values = latent.const_data_ptr<at::BFloat16>();
    out = std::transform(values, values + latent.numel(), out,
                         [](at::BFloat16 value) { return static_cast<float>(value); });
  }
  return batch;
}

void CachedBatches::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    has_room_.wait(lock, [&] {
      return is_stopping_ || (batch_size_ > 0 && static_cast<int64_t>(slots_.size()) <
                                                     std::max<int64_t>(1, options_.num_ahead));
    });
    if (is_stopping_) return;
    const auto slot = std::make_shared<Slot>();
    slot->places = plan(planned_);
    slot->position_after = planned_;
    slots_.push_back(slot);
    lock.unlock();
    try {
      slot->batch = make(slot->places);
    } catch (...) {
      slot->error = std::current_exception();
    }
    lock.lock();
    slot->is_made = true;
    is_made_.notify_all();
  }
}

// Slots that are still being made are finished by their threads and forgotten.
void CachedBatches::start_at(const DataPosition& position, int64_t batch_size) {
  slots_.clear();
  planned_ = position;
  batch_size_ = batch_size;
  has_room_.notify_all();
}

Batch CachedBatches::next(int64_t batch_size) {
  check_user(batch_size > 0, "a batch of ", batch_size, " examples");
  std::unique_lock lock(mutex_);
  if (batch_size != batch_size_) start_at(position_, batch_size);
  is_made_.wait(lock, [&] { return !slots_.empty() && slots_.front()->is_made; });
  const std::shared_ptr<Slot> slot = slots_.front();
  slots_.pop_front();
  has_room_.notify_all();
  if (slot->error) std::rethrow_exception(slot->error);
  position_ = slot->position_after;
  return std::move(slot->batch);
}

void CachedBatches::restore(const DataPosition& position) {
  check_user(position.draws_of_set.size() == position_.draws_of_set.size(),
             "the checkpoint was trained on ", position.draws_of_set.size(),
             " data sets and buckets, this run has ", position_.draws_of_set.size());
  const std::lock_guard lock(mutex_);
  position_ = position;
  start_at(position, 0);
}

}  // namespace i1
