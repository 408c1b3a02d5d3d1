#include "i1/data/record_stream.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "i1/core/error.h"
#include "i1/data/example.h"
#include "i1/data/permutation.h"
#include "i1/data/subset.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxOpenShards = 16;
constexpr int64_t kRecordsPerTurn = 16;
constexpr int64_t kMaxEpochsApart = 10'000;  // processes of one run read at about one pace

enum OpenField { kPart, kIndex, kOffset };

// A damaged frame counts as the last record, so that it will be met and reported.
int64_t count_records(RecordReader reader) {
  int64_t count = 0;
  try {
    while (reader.skip(1) == 1) ++count;
  } catch (const UserError&) {
    ++count;
  }
  return count;
}

}  // namespace

RecordSet::RecordSet(const fs::path& folder)
    : name_(fs::absolute(folder / ".").lexically_normal().parent_path().filename().string()),
      paths_(find_shards(folder)) {
  for (const fs::path& path : paths_) files_.push_back(std::make_unique<MappedFile>(path));
  const fs::path info = folder / "dataset_info.json";
  if (fs::exists(info)) {
    lengths_ = read_shard_lengths(info);
    check_user(lengths_.size() == paths_.size(), info.string(), ": tells of ", lengths_.size(),
               " shards, but ", paths_.size(), " are there");
  } else {
    for (size_t i = 0; i < paths_.size(); ++i)
      lengths_.push_back(count_records(open(static_cast<int64_t>(i))));
  }
}

int64_t RecordSet::num_records() const {
  return std::accumulate(lengths_.begin(), lengths_.end(), int64_t{0});
}

std::string RecordSet::shard_name(int64_t shard) const {
  return paths_[static_cast<size_t>(shard)].filename().string();
}

RecordReader RecordSet::open(int64_t shard) const {
  const auto i = static_cast<size_t>(shard);
  return RecordReader(files_[i]->bytes(), paths_[i].string());
}

RecordOrder::RecordOrder(std::shared_ptr<const RecordSet> records, const RandomStream& stream,
                         const RecordOrderOptions& options)
    : records_(std::move(records)),
      stream_(stream),
      options_(options),
      own_parts_(shard_parts(records_->shard_lengths(), options.process, options.num_processes)),
      parts_(own_parts_) {}

void RecordOrder::lay_out_epoch() {
  parts_ = own_parts_;
  if (state_.handed_over.empty()) return;
  parts_.clear();
  for (const auto& [shard, skip, take] : state_.handed_over.front())
    parts_.push_back({shard, skip, take});
}

// Brings up to 16 shards of this epoch's order to where their part begins.
void RecordOrder::open_shards() {
  const auto num_parts = static_cast<int64_t>(parts_.size());
  const RandomStream order = stream_.child("shards", static_cast<uint64_t>(state_.epoch));
  while (state_.open.size() < kMaxOpenShards && state_.next_part < num_parts) {
    const int64_t part = permuted(state_.next_part++, num_parts, order);
    const ShardPart& stretch = parts_[static_cast<size_t>(part)];
    RecordReader reader = records_->open(stretch.shard);
    try {
      reader.skip(stretch.skip);
    } catch (const UserError&) {
      continue;  // the process that reads this far into the shard meets the fault and counts it
    }
    state_.open.push_back({part, stretch.skip, static_cast<int64_t>(reader.offset())});
  }
}

// Gives the next place of an open shard; false at the end of its part.
bool RecordOrder::advance(std::array<int64_t, 3>& open, RecordPlace& place) const {
  const ShardPart& part = parts_[static_cast<size_t>(open[kPart])];
  if (open[kIndex] >= part.skip + part.take) return false;
  RecordReader reader = records_->open(part.shard);
  reader.seek(static_cast<uint64_t>(open[kOffset]));
  place = {part.shard, open[kIndex], open[kOffset]};
  try {
    check_record(reader.skip(1) == 1, "cut off", records_->name(), ": the shard ends early");
    ++open[kIndex];
    open[kOffset] = static_cast<int64_t>(reader.offset());
  } catch (const UserError&) {
    open[kIndex] = part.skip + part.take;
  }
  return true;
}

RecordPlace RecordOrder::read_in_turns() {
  for (;;) {
    open_shards();
    if (state_.open.empty()) {
      check_user(state_.num_in_epoch > 0 || !state_.handed_over.empty(), records_->name(),
                 ": no examples to read", options_.num_processes > 1 ? " for this process" : "");
      ++state_.epoch;
      state_.next_part = state_.num_in_epoch = 0;
      if (!state_.handed_over.empty()) state_.handed_over.erase(state_.handed_over.begin());
      lay_out_epoch();
      continue;
    }
    if (state_.num_in_turn == kRecordsPerTurn) {
      ++state_.turn;
      state_.num_in_turn = 0;
    }
    if (state_.turn >= static_cast<int64_t>(state_.open.size())) state_.turn = 0;
    const auto open = state_.open.begin() + state_.turn;
    RecordPlace place;
    if (!advance(*open, place)) {
      state_.open.erase(open);
      state_.num_in_turn = 0;
      continue;
    }
    ++state_.num_in_turn;
    if (options_.subset_fraction < 1 &&
        !is_in_subset(example_id(records_->shard_name(place.shard), place.index),
                      options_.subset_fraction))
      continue;
    ++state_.num_in_epoch;
    return place;
  }
}

RecordPlace RecordOrder::next() {
  if (options_.shuffle_buffer <= 0 && state_.buffer.empty()) return read_in_turns();
  const auto place_of = [](const std::array<int64_t, 3>& entry) {
    return RecordPlace{entry[0], entry[1], entry[2]};
  };
  const auto refill = [&](std::array<int64_t, 3>& entry) {
    const RecordPlace place = read_in_turns();
    entry = {place.shard, place.index, place.offset};
  };
  while (static_cast<int64_t>(state_.buffer.size()) < options_.shuffle_buffer)
    refill(state_.buffer.emplace_back());
  const int64_t chosen = stream_.child("buffer").below(static_cast<uint64_t>(state_.num_draws++),
                                                       static_cast<int64_t>(state_.buffer.size()));
  std::array<int64_t, 3>& entry = state_.buffer[static_cast<size_t>(chosen)];
  const RecordPlace place = place_of(entry);
  if (static_cast<int64_t>(state_.buffer.size()) <= options_.shuffle_buffer) {
    refill(entry);
  } else {  // more were handed over than there is room for
    entry = state_.buffer.back();
    state_.buffer.pop_back();
  }
  return place;
}

void RecordOrder::restore(const RecordOrderState& state) {
  const std::vector<int64_t>& lengths = records_->shard_lengths();
  const auto num_shards = static_cast<int64_t>(lengths.size());
  for (const auto& stretches : state.handed_over) {
    for (const auto& [shard, skip, take] : stretches) {
      check_user(shard >= 0 && shard < num_shards && skip >= 0 && take > 0 &&
                     skip <= lengths[static_cast<size_t>(shard)] - take,
                 records_->name(), ": the stored position belongs to other shards");
    }
  }
  RecordOrder restored(records_, stream_, options_);
  restored.state_ = state;
  restored.lay_out_epoch();
  const auto num_parts = static_cast<int64_t>(restored.parts_.size());
  bool fits = state.epoch >= 0 && state.turn >= 0 && state.num_in_turn >= 0 &&
              state.next_part >= 0 && state.next_part <= num_parts;
  for (const auto& [part, index, offset] : state.open) {
    fits = fits && part >= 0 && part < num_parts && offset >= 0;
    if (!fits) break;
    const ShardPart& stretch = restored.parts_[static_cast<size_t>(part)];
    fits = index >= stretch.skip && index <= stretch.skip + stretch.take;
  }
  for (const auto& [shard, index, offset] : state.buffer)
    fits = fits && shard >= 0 && shard < num_shards && index >= 0 && offset >= 0;
  check_user(fits, records_->name(), ": the stored position belongs to other shards; the data set ",
             "or the number of processes has changed");
  *this = std::move(restored);
}

// What of an epoch is still to be read, buffers apart.
std::vector<ShardPart> RecordOrder::left_of(int64_t epoch) const {
  std::vector<ShardPart> left;
  if (epoch < state_.epoch) return left;
  if (epoch > state_.epoch) {
    const auto ahead = static_cast<size_t>(epoch - state_.epoch);
    if (ahead >= state_.handed_over.size()) return own_parts_;
    for (const auto& [shard, skip, take] : state_.handed_over[ahead])
      left.push_back({shard, skip, take});
    return left;
  }
  for (const auto& [part, index, offset] : state_.open) {
    const ShardPart& stretch = parts_[static_cast<size_t>(part)];
    const int64_t num_left = stretch.skip + stretch.take - index;
    if (num_left > 0) left.push_back({stretch.shard, index, num_left});
  }
  const auto num_parts = static_cast<int64_t>(parts_.size());
  const RandomStream order = stream_.child("shards", static_cast<uint64_t>(epoch));
  for (int64_t i = state_.next_part; i < num_parts; ++i)
    left.push_back(parts_[static_cast<size_t>(permuted(i, num_parts, order))]);
  return left;
}

RecordOrderState RecordOrder::take_over(std::span<const RecordOrderState> states) const {
  std::vector<RecordOrder> old;
  RecordOrderOptions options = options_;
  options.num_processes = static_cast<int64_t>(states.size());
  RecordOrderState result = states[0];
  int64_t last = 0, num_waiting = 0;
  result.open.clear();
  result.buffer.clear();
  result.handed_over.clear();
  result.next_part = result.turn = result.num_in_turn = result.num_in_epoch = 0;
  for (const RecordOrderState& state : states) {
    options.process = static_cast<int64_t>(old.size());
    old.emplace_back(records_, stream_, options).restore(state);
    result.epoch = std::min(result.epoch, state.epoch);
    result.num_draws = std::max(result.num_draws, state.num_draws);
    last = std::max(last, state.epoch + std::max<int64_t>(
                                            0, static_cast<int64_t>(state.handed_over.size()) - 1));
    for (const std::array<int64_t, 3>& entry : state.buffer)
      if (num_waiting++ % options_.num_processes == options_.process)
        result.buffer.push_back(entry);
  }
  check_user(last - result.epoch <= kMaxEpochsApart, records_->name(),
             ": the stored positions lie ", last - result.epoch, " epochs apart");
  for (int64_t epoch = result.epoch; epoch <= last; ++epoch) {
    std::vector<ShardPart> left;
    for (const RecordOrder& order : old)
      for (const ShardPart& stretch : order.left_of(epoch)) left.push_back(stretch);
    std::ranges::sort(left, {},
                      [](const ShardPart& part) { return std::pair(part.shard, part.skip); });
    auto& own = result.handed_over.emplace_back();
    for (const ShardPart& part : even_stretches(left, options_.process, options_.num_processes))
      own.push_back({part.shard, part.skip, part.take});
  }
  return result;
}

}  // namespace i1
