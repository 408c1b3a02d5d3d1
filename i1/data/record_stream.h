// The order in which a TFRecord set is read: shards in a random order that changes every epoch, up
// to 16 of them in turns of 16 records, forever; then a shuffle buffer. It deals in places of
// records, not in records, so it is cheap, and its whole state can be stored and restored.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "i1/core/files.h"
#include "i1/core/random.h"
#include "i1/data/split.h"
#include "i1/io/tfrecord.h"

namespace i1 {

/// A folder of TFRecord shards, mapped.
class RecordSet {
 public:
  /// Throws UserError where shards are missing or dataset_info.json tells of other shards. Without
  /// that file the records are counted.
  explicit RecordSet(const std::filesystem::path& folder);

  const std::string& name() const { return name_; }  ///< of the folder
  const std::vector<int64_t>& shard_lengths() const { return lengths_; }
  int64_t num_records() const;
  std::string shard_name(int64_t shard) const;
  RecordReader open(int64_t shard) const;

 private:
  std::string name_;
  std::vector<std::filesystem::path> paths_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::vector<int64_t> lengths_;
};

/// Record `index` of a shard, which begins at byte `offset`.
struct RecordPlace {
  int64_t shard = 0, index = 0, offset = 0;

  bool operator==(const RecordPlace&) const = default;
};

struct RecordOrderOptions {
  int64_t process = 0, num_processes = 1;  ///< a process reads its even part of the examples
  double subset_fraction = 1;              ///< below 1: only the examples of that subset (subset.h)
  int64_t shuffle_buffer = 0;              ///< places that wait to be drawn; 0 = no shuffling
};

/// Everything that `RecordOrder::next` depends on.
struct RecordOrderState {
  int64_t epoch = 0;
  int64_t next_part = 0;                       ///< in this epoch's order of shards
  int64_t turn = 0;                            ///< which of the open shards is read
  int64_t num_in_turn = 0;                     ///< records it gave in this turn
  int64_t num_in_epoch = 0;                    ///< records that came out of this epoch
  int64_t num_draws = 0;                       ///< from the buffer
  std::vector<std::array<int64_t, 3>> open;    ///< part, index and offset of the next record
  std::vector<std::array<int64_t, 3>> buffer;  ///< RecordPlaces
  /// Stretches (shard, skip, take) that take the place of this process's part: in this epoch, the
  /// next one, ... Empty unless the number of processes has changed.
  std::vector<std::vector<std::array<int64_t, 3>>> handed_over;

  bool operator==(const RecordOrderState&) const = default;
  static void fields(auto& self, auto&& visit) {
    visit("epoch", self.epoch);
    visit("next_part", self.next_part);
    visit("turn", self.turn);
    visit("num_in_turn", self.num_in_turn);
    visit("num_in_epoch", self.num_in_epoch);
    visit("num_draws", self.num_draws);
    visit("open", self.open);
    visit("buffer", self.buffer);
    visit("handed_over", self.handed_over);
  }
};

class RecordOrder {
 public:
  /// `stream` names the random numbers of this set.
  RecordOrder(std::shared_ptr<const RecordSet> records, const RandomStream& stream,
              const RecordOrderOptions& options);

  /// The next place. A frame that is damaged, or not there although dataset_info.json tells of it,
  /// is given too, as the last of its shard in that epoch: whoever reads it counts the fault.
  /// Throws UserError where a whole epoch has no example.
  RecordPlace next();

  const RecordOrderState& state() const { return state_; }
  /// Throws UserError where the state does not fit this set.
  void restore(const RecordOrderState& state);

  /// Where this process goes on from `states`, those of all processes of a run that had another
  /// number of them. Together the new processes read what the old ones had left, in every epoch
  /// each example once; what waited in their buffers is dealt out. The order is another one.
  RecordOrderState take_over(std::span<const RecordOrderState> states) const;

 private:
  std::vector<ShardPart> left_of(int64_t epoch) const;
  void lay_out_epoch();
  RecordPlace read_in_turns();
  void open_shards();
  bool advance(std::array<int64_t, 3>& open, RecordPlace& place) const;

  std::shared_ptr<const RecordSet> records_;
  RandomStream stream_;
  RecordOrderOptions options_;
  std::vector<ShardPart> own_parts_;
  std::vector<ShardPart> parts_;  // of this epoch: those handed over, else its own
  RecordOrderState state_;
};

}  // namespace i1
