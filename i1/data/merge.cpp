#include "i1/data/merge.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "i1/core/base64.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/progress.h"
#include "i1/core/random.h"
#include "i1/data/set_report.h"
#include "i1/data/shard_reader.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTokenizedCaptions = 20'000;
constexpr int kSmallEdge = 128, kSmallQuality = 85;

struct FoundShard {
  fs::path path;
  ShardNumber number;
  ShardSidecar sidecar;
};

std::vector<FoundShard> find_in(const fs::path& folder) {
  check_user(fs::is_directory(folder), folder.string(), ": no such folder; expected one of shards");
  std::vector<FoundShard> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto number = parse_shard_name(entry.path().filename().string());
    if (number) found.push_back({entry.path(), *number, {}});
  }
  check_user(!found.empty(), folder.string(), ": no shards in this folder");
  std::sort(found.begin(), found.end(), [](const FoundShard& a, const FoundShard& b) {
    return std::tie(a.number.num_shards, a.number.shard) <
           std::tie(b.number.num_shards, b.number.shard);
  });
  for (FoundShard& shard : found) {
    check_user(fs::exists(sidecar_path(shard.path)), shard.path.string(), ": has no sidecar (",
               sidecar_path(shard.path).filename().string(),
               "); the build that writes this shard was not finished: run it again");
    shard.sidecar = read_sidecar(shard.path);
    check_user(shard.sidecar.shard == shard.number.shard &&
                   shard.sidecar.num_shards == shard.number.num_shards,
               shard.path.string(), ": was renamed; its sidecar calls it shard ",
               shard.sidecar.shard, " of ", shard.sidecar.num_shards);
  }
  return found;
}

// The parts of one build in their order, all of them once.
void check_build(const std::vector<FoundShard>& shards) {
  const FoundShard& first = shards.front();
  const int64_t count = first.sidecar.num_shards;
  std::vector<const FoundShard*> by_number(static_cast<size_t>(count), nullptr);
  for (const FoundShard& shard : shards) {
    check_user(shard.sidecar.num_shards == count, first.path.string(), " and ", shard.path.string(),
               ": one build in ", count, " shards and in ", shard.sidecar.num_shards);
    const FoundShard*& known = by_number[static_cast<size_t>(shard.sidecar.shard)];
    check_user(known == nullptr, shard.path.string(), ": is there twice, also as ",
               known == nullptr ? "" : known->path.string());
    known = &shard;
  }
  const auto is_missing = [](const FoundShard* shard) { return shard == nullptr; };
  const auto num_missing = std::count_if(by_number.begin(), by_number.end(), is_missing);
  if (num_missing == 0) return;
  const auto missing = std::find_if(by_number.begin(), by_number.end(), is_missing);
  throw UserError(concat(first.path.parent_path().string(), ": ", num_missing, " of ", count,
                         " shards missing, the first is number ", missing - by_number.begin(),
                         "; the build with its --shard K/N writes it"));
}

// The shards of all builds one after the other, builds in the order of the folders.
std::vector<FoundShard> find_all(const std::vector<fs::path>& folders) {
  std::vector<std::vector<FoundShard>> builds;
  const FoundShard* first = nullptr;
  for (const fs::path& folder : folders) {
    for (FoundShard& shard : find_in(folder)) {
      const auto same = std::find_if(builds.begin(), builds.end(), [&](const auto& build) {
        return build.front().sidecar.pictures == shard.sidecar.pictures;
      });
      auto& build = same == builds.end() ? builds.emplace_back() : *same;
      build.push_back(std::move(shard));
      first = &builds.front().front();
      const FoundShard& added = build.back();
      const std::string difference =
          options_difference(first->sidecar.options, added.sidecar.options);
      check_user(difference.empty(), first->path.string(), " and ", added.path.string(),
                 ": built with different options (", difference, ")");
    }
  }
  std::vector<FoundShard> all;
  for (auto& build : builds) {
    check_build(build);
    std::sort(build.begin(), build.end(), [](const FoundShard& a, const FoundShard& b) {
      return a.sidecar.shard < b.sidecar.shard;
    });
    std::move(build.begin(), build.end(), std::back_inserter(all));
  }
  return all;
}

void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error) fs::copy_file(from, to, error);
  if (error) throw_system_error(to, "cannot be linked or copied to", error.value());
}

// Puts the shards into one folder, numbered on.
void gather(std::vector<FoundShard>& shards, const fs::path& folder) {
  for (size_t i = 0; i < shards.size(); ++i) {
    check_interrupt();
    FoundShard& shard = shards[i];
    shard.sidecar.shard = static_cast<int64_t>(i);
    shard.sidecar.num_shards = static_cast<int64_t>(shards.size());
    const fs::path path =
        folder / shard_name(shard.sidecar.shard, shard.sidecar.num_shards, shard.number.format);
    link_or_copy(shard.path, path);
    write_sidecar(path, shard.sidecar);
    shard.path = path;
  }
}

// What a shard holds, and where each of its keys is.
struct ShardContent {
  std::vector<std::pair<uint64_t, int64_t>> keys;  // hash, record
  CaptionStatistics captions;
  std::vector<ShownExample> shown;
};

ShownExample show(const ShownPicture& picture, const Example& example, const std::string& where) {
  ShownExample shown{picture, example.captions};
  const Image small = fit_within(decode_picture(example, where), kSmallEdge);
  shown.picture.jpeg = encode_base64(encode_jpeg(small, kSmallQuality));
  return shown;
}

ShardContent read_shard(const FoundShard& shard, int64_t num_tokenized,
                        const MergeOptions& options) {
  const std::string fault = shard_fault(shard.path, shard.sidecar);
  check_user(fault.empty(), fault, "; remove it, and the same build writes it again");
  ShardContent content;
  auto next = shard.sidecar.shown.begin();
  const int64_t num_records = std::max<int64_t>(1, shard.sidecar.num_records);
  int64_t num_done = 0;
  for_each_record(
      shard.path,
      [&](StoredRecord& record) {
        const Example& example = record.example;
        content.keys.emplace_back(fnv1a(example.image_name), record.number);
        for (const std::string& caption : example.captions) content.captions.add(caption);
        ++content.captions.captions_a_picture[static_cast<int64_t>(example.captions.size())];
        if (options.count_tokens && !example.captions.empty() &&
            num_done * num_records <= record.number * num_tokenized) {
          content.captions.add_tokens(options.count_tokens(example.captions.front()));
          ++num_done;
        }
        for (; next != shard.sidecar.shown.end() && next->record < 0; ++next) continue;
        if (next != shard.sidecar.shown.end() && next->record == record.number)
          content.shown.push_back(show(*next++, example, record.where));
      },
      [](const RecordError& error) { throw error; });
  for (const ShownPicture& picture : shard.sidecar.shown)
    if (picture.record < 0) content.shown.push_back({picture, {}});
  return content;
}

std::string key_at(const FoundShard& shard, int64_t number) {
  std::string key;
  for_each_record(
      shard.path,
      [&](StoredRecord& record) {
        if (record.number == number) key = record.example.image_name;
      },
      [](const RecordError&) {});
  return key;
}

struct KeyPlace {
  uint64_t hash;
  size_t shard;
  int64_t record;
};

void check_keys(std::vector<KeyPlace>& places, const std::vector<FoundShard>& shards) {
  std::sort(places.begin(), places.end(), [](const KeyPlace& a, const KeyPlace& b) {
    return std::tie(a.hash, a.shard, a.record) < std::tie(b.hash, b.shard, b.record);
  });
  for (size_t i = 1; i < places.size(); ++i) {
    const KeyPlace &one = places[i - 1], &two = places[i];
    if (one.hash != two.hash) continue;
    const std::string key = key_at(shards[one.shard], one.record);
    check_user(key != key_at(shards[two.shard], two.record), "key \"", key,
               "\" is there twice: ", shards[one.shard].path.filename().string(), ", record ",
               one.record, ", and ", shards[two.shard].path.filename().string(), ", record ",
               two.record);
  }
}

// Reads all shards, as many at a time as there are threads.
void read_all(const std::vector<FoundShard>& shards, const MergeOptions& options, MergedSet& set) {
  const auto count = static_cast<int64_t>(shards.size());
  const int64_t num_tokenized = (kTokenizedCaptions + count - 1) / count;
  std::vector<KeyPlace> places;
  Progress progress("shards", count, "shards");
  for (int64_t begin = 0; begin < count; begin += at::get_num_threads()) {
    const int64_t end = std::min(begin + at::get_num_threads(), count);
    std::vector<ShardContent> contents(static_cast<size_t>(end - begin));
    at::parallel_for(begin, end, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i)
        contents[static_cast<size_t>(i - begin)] =
            read_shard(shards[static_cast<size_t>(i)], num_tokenized, options);
    });
    for (size_t i = 0; i < contents.size(); ++i) {
      for (const auto& [hash, record] : contents[i].keys)
        places.push_back({hash, static_cast<size_t>(begin) + i, record});
      set.captions.add(contents[i].captions);
      std::move(contents[i].shown.begin(), contents[i].shown.end(), std::back_inserter(set.shown));
    }
    progress.update(end);
  }
  check_keys(places, shards);
}

// What workers that were killed left beside the shards.
void remove_leftovers(const fs::path& folder) {
  constexpr size_t kRandomEnd = 7;  // ".XXXXXX"
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (name.size() <= kRandomEnd || name[name.size() - kRandomEnd] != '.') continue;
    name.resize(name.size() - kRandomEnd);
    if (name.ends_with(".json")) name.resize(name.size() - 5);
    if (parse_shard_name(name)) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove(path);
}

}  // namespace

DatasetInfo dataset_info_of(const std::vector<ShardSidecar>& shards) {
  DatasetInfo info;
  for (const ShardSidecar& shard : shards) {
    const bool has_buckets = shard.options.contains("buckets");
    info.resolution = has_buckets ? 0 : shard.options.at("size").get<int64_t>();
    info.num_payload_bytes += shard.num_payload_bytes;
    info.shard_lengths.push_back(shard.num_records);
  }
  return info;
}

MergedSet merge_sets(const MergeOptions& options) {
  check_user(!options.output.empty() || options.folders.size() == 1,
             "several folders are joined into a new one; name it with --output");
  check_user(options.output.empty() || !fs::exists(options.output), options.output.string(),
             ": is there already; name a new folder");
  std::vector<FoundShard> shards = find_all(options.folders);
  std::optional<AtomicFolder> output;
  MergedSet set;
  if (options.output.empty()) {
    set.folder = options.folders.front();
  } else {
    output.emplace(options.output);
    gather(shards, output->partial());
    set.folder = output->partial();
  }
  read_all(shards, options, set);
  for (FoundShard& shard : shards) set.shards.push_back(std::move(shard.sidecar));
  if (shards.front().number.format == ShardFormat::kTfrecord)
    write_dataset_info(set.folder, dataset_info_of(set.shards));
  write_report(set);
  if (output) {
    output->commit();
    set.folder = options.output;
  } else {
    remove_leftovers(set.folder);
  }
  return set;
}

}  // namespace i1
