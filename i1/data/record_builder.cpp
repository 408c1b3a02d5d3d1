#include "i1/data/record_builder.h"

#include <algorithm>
#include <cstdio>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/progress.h"
#include "i1/core/random.h"
#include "i1/data/picture_maker.h"
#include "i1/data/picture_sample.h"
#include "i1/data/shard_writer.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kPicturesAtOnce = 256, kShownOfASet = 60, kShownOfAReason = 20;

std::string hex(uint64_t value) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%016lx", static_cast<unsigned long>(value));
  return digits;
}

json options_json(const RecordBuildOptions& options, const Resolution& resolution) {
  json object = {{"format", options.format == ShardFormat::kTfrecord ? "tfrecord" : "webdataset"},
                 {"size", resolution.size},
                 {"min_edge", resolution.min_edge},
                 {"max_aspect", options.max_aspect},
                 {"max_pixels", options.max_pixels}};
  if (options.background) {
    const auto& [red, green, blue] = *options.background;
    object["background"] = {red, green, blue};
  }
  if (options.is_fast) object["fast_decode"] = true;
  if (resolution.buckets.unit > 0)
    object["buckets"] = {resolution.buckets.unit, resolution.buckets.max_aspect};
  if (!options.duplicates.empty()) object["skip_duplicates"] = options.duplicates;
  if (options.target_count) object["count"] = *options.target_count, object["seed"] = options.seed;
  return object;
}

// Of keys, faults and captions in their order, on any machine the same.
std::string digest_of(const std::vector<SourcePicture>& pictures, const CaptionTable& captions) {
  uint64_t hash = fnv1a(std::to_string(pictures.size()));
  const auto add = [&](std::string_view text) {
    hash = fnv1a(text, fnv1a(std::to_string(text.size()) + ":", hash));
  };
  for (const SourcePicture& picture : pictures) {
    add(picture.key);
    if (picture.fault != nullptr) add(picture.fault->reason());
    const auto texts = captions.find(picture.key);
    if (!texts) continue;
    for (const std::string& text : *texts) add(text);
  }
  return hex(hash);
}

// One shard of one set on its way.
class ShardBuild {
 public:
  ShardBuild(fs::path path, ShardSidecar sidecar, const RecordBuildOptions& options)
      : path_(std::move(path)),
        sidecar_(std::move(sidecar)),
        options_(options),
        writer_(path_, options.format) {}

  void add(const SourcePicture& picture, const MadePicture& made) {
    ++num_done_;
    if (made.fault) {
      leave_out(picture, *made.fault);
      return;
    }
    const int64_t num_wanted = share(kShownOfASet);
    if (num_shown_ < num_wanted &&
        num_done_ * num_wanted > num_shown_ * std::max<int64_t>(1, sidecar_.num_pictures)) {
      sidecar_.shown.push_back({picture.key, source_name(picture), writer_.num_records(), {}});
      ++num_shown_;
    }
    writer_.write(made.example);
  }

  ShardSidecar close() {
    writer_.close();
    sidecar_.num_records = writer_.num_records();
    sidecar_.num_captions = writer_.num_captions();
    sidecar_.num_payload_bytes = writer_.num_payload_bytes();
    sidecar_.num_file_bytes = writer_.num_file_bytes();
    sidecar_.crc32c = writer_.crc32c();
    write_sidecar(path_, sidecar_);
    return std::move(sidecar_);
  }

 private:
  void leave_out(const SourcePicture& picture, const RecordError& fault) {
    sidecar_.left_out.add(fault);
    if (sidecar_.left_out.counts[fault.reason()] > share(kShownOfAReason)) return;
    sidecar_.shown.push_back(
        {picture.key, source_name(picture), -1, fault.reason(), small_copy(picture, options_)});
  }

  int64_t share(int64_t of_the_set) const {
    return (of_the_set + sidecar_.num_shards - 1) / sidecar_.num_shards;
  }

  const fs::path path_;
  ShardSidecar sidecar_;
  const RecordBuildOptions& options_;
  ShardWriter writer_;
  int64_t num_done_ = 0, num_shown_ = 0;
};

// A whole set, of which a run writes some shards.
class SetBuild {
 public:
  SetBuild(const std::vector<SourcePicture>& pictures, const CaptionTable& captions,
           const RecordBuildOptions& options, const fs::path& output, const BadRecords& before)
      : pictures_(pictures),
        options_(options),
        maker_(captions, options),
        digest_(digest_of(pictures, captions)),
        left_out_before_(before) {
    for (const Resolution& resolution : options.resolutions) {
      const bool is_only = options.resolutions.size() == 1;
      sets_.push_back({is_only ? output : output / std::to_string(resolution.size), {}, 0});
      make_folder(sets_.back().folder);
    }
  }

  // The shards of the range that have to be written, a list of resolutions each.
  void look_around(Span shards) {
    for (int64_t shard = shards.begin; shard < shards.end; ++shard) {
      for (size_t i = 0; i < sets_.size(); ++i) {
        std::optional<ShardSidecar> found = find_shard(shard, i);
        sets_[i].num_found += found.has_value();
        sets_[i].shards.push_back(found ? std::move(*found) : plan(shard, i));
        if (!found) open_[shard].push_back(i);
      }
    }
  }

  void write(int64_t first_shard) {
    int64_t num_pictures = 0, num_done = 0;
    for (const auto& [shard, resolutions] : open_) num_pictures += range_of(shard).size();
    Progress progress("pictures", num_pictures, "pictures");
    for (const auto& [shard, resolutions] : open_) {
      std::vector<std::unique_ptr<ShardBuild>> builds;
      for (const size_t i : resolutions)
        builds.push_back(std::make_unique<ShardBuild>(path_of(shard, i), plan(shard, i), options_));
      const Span range = range_of(shard);
      for (int64_t begin = range.begin; begin < range.end; begin += kPicturesAtOnce) {
        const int64_t end = std::min(begin + kPicturesAtOnce, range.end);
        const auto first = static_cast<size_t>(begin);
        const auto made = maker_.make(
            std::span(pictures_).subspan(first, static_cast<size_t>(end - begin)), resolutions);
        for (size_t k = 0; k < made.size(); ++k)
          for (size_t b = 0; b < builds.size(); ++b)
            builds[b]->add(pictures_[first + k], made[k][b]);
        progress.update(num_done += end - begin);
      }
      for (size_t b = 0; b < builds.size(); ++b)
        sets_[resolutions[b]].shards[static_cast<size_t>(shard - first_shard)] = builds[b]->close();
    }
  }

  std::vector<BuiltSet> take_sets() { return std::move(sets_); }

 private:
  Span range_of(int64_t shard) const {
    return even_part(static_cast<int64_t>(pictures_.size()), shard, options_.num_shards);
  }

  fs::path path_of(int64_t shard, size_t resolution) const {
    return sets_[resolution].folder / shard_name(shard, options_.num_shards, options_.format);
  }

  // What the sidecar tells before the shard is written.
  ShardSidecar plan(int64_t shard, size_t resolution) const {
    ShardSidecar sidecar;
    sidecar.shard = shard;
    sidecar.num_shards = options_.num_shards;
    sidecar.options = options_json(options_, options_.resolutions[resolution]);
    sidecar.pictures = digest_;
    sidecar.num_pictures = range_of(shard).size();
    sidecar.left_out_before = left_out_before_;
    return sidecar;
  }

  // A shard that is there and whole; nothing where it has to be written.
  std::optional<ShardSidecar> find_shard(int64_t shard, size_t resolution) const {
    const fs::path path = path_of(shard, resolution);
    if (!fs::exists(path) || !fs::exists(sidecar_path(path))) return std::nullopt;
    ShardSidecar found;
    try {
      found = read_sidecar(path);
    } catch (const UserError&) {
      return std::nullopt;
    }
    const ShardSidecar ours = plan(shard, resolution);
    const std::string difference = options_difference(found.options, ours.options);
    const char* advice = "; name another --output, or remove what lies there";
    check_user(difference.empty(), path.string(), ": is there, built with other options (",
               difference, ")", advice);
    check_user(found.pictures == ours.pictures, path.string(),
               ": is there, built from other pictures or captions", advice);
    if (!shard_fault(path, found).empty()) return std::nullopt;
    return found;
  }

  const std::vector<SourcePicture>& pictures_;
  const RecordBuildOptions& options_;
  const PictureMaker maker_;
  const std::string digest_;
  const BadRecords left_out_before_;
  std::vector<BuiltSet> sets_;
  std::map<int64_t, std::vector<size_t>> open_;  // shard: resolutions to write
};

}  // namespace

int64_t BuiltSet::num_records() const {
  int64_t sum = 0;
  for (const ShardSidecar& shard : shards) sum += shard.num_records;
  return sum;
}

BadRecords BuiltSet::left_out() const { return left_out_of(shards); }

BadRecords left_out_of(const std::vector<ShardSidecar>& shards) {
  BadRecords sum;
  if (!shards.empty()) sum.add(shards.front().left_out_before);
  for (const ShardSidecar& shard : shards) sum.add(shard.left_out);
  return sum;
}

void mark_shared_keys(std::vector<SourcePicture>& pictures) {
  std::vector<std::pair<uint64_t, size_t>> hashes;
  for (size_t i = 0; i < pictures.size(); ++i) hashes.emplace_back(fnv1a(pictures[i].key), i);
  std::sort(hashes.begin(), hashes.end());
  for (size_t begin = 0, end = 0; begin < hashes.size(); begin = end) {
    while (end < hashes.size() && hashes[end].first == hashes[begin].first) ++end;
    if (end - begin == 1) continue;
    std::map<std::string, std::vector<size_t>> by_key;  // two keys may have one hash
    for (size_t i = begin; i < end; ++i)
      by_key[pictures[hashes[i].second].key].push_back(hashes[i].second);
    for (const auto& [key, sharers] : by_key) {
      if (sharers.size() == 1) continue;
      for (const size_t i : sharers) {
        const SourcePicture& other = pictures[sharers[i == sharers[0] ? 1 : 0]];
        pictures[i].fault = std::make_shared<const RecordError>(
            kSharedKey, concat(source_name(pictures[i]), " and ", source_name(other)));
      }
    }
  }
}

std::vector<BuiltSet> build_records(std::vector<SourcePicture> pictures,
                                    const CaptionTable& captions, const RecordBuildOptions& options,
                                    const fs::path& output) {
  const Span shards = options.shards.value_or(Span{0, options.num_shards});
  check_user(options.num_shards > 0 && shards.begin >= 0 && shards.begin <= shards.end &&
                 shards.end <= options.num_shards,
             "shards ", shards.begin, " to ", shards.end, " of ", options.num_shards,
             "; expected a range within 0 to ", options.num_shards);
  BadRecords left_out;
  pictures = in_reading_order(select_pictures(std::move(pictures), options, left_out));
  SetBuild build(pictures, captions, options, output, left_out);
  build.look_around(shards);
  build.write(shards.begin);
  return build.take_sets();
}

}  // namespace i1
