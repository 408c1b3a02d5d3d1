#include "i1/data/build.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/nearest.h"
#include "i1/core/progress.h"
#include "i1/data/example.h"
#include "i1/data/nano_clipart.h"
#include "i1/data/nano_emoji.h"
#include "i1/data/nano_key.h"
#include "i1/data/nano_scenes.h"
#include "i1/data/nano_shapes.h"
#include "i1/data/nano_sheet.h"
#include "i1/data/nano_text.h"
#include "i1/data/shard_writer.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kItemsPerShard = 4096;
constexpr int64_t kBlock = 256;  // items drawn between two writes
constexpr int kSheetPictures = 60, kSheetColumns = 10;
constexpr int64_t kNumScenes = 20000, kNumHeldOutScenes = 1000;
constexpr int64_t kNumTexts = 20000, kNumHeldOutTexts = 500;
constexpr double kMaxLeftOutShare = 0.1;

// One picture drawn and encoded, or why not.
struct Drawn {
  std::string png;
  std::optional<std::string> left_out;
};

Drawn draw(const NanoItem& item, int size) {
  try {
    const Image picture = item.draw(size);
    check_machine(picture.width == size && picture.height == size && picture.channels == 3,
                  item.name, ": drawn with ", picture.width, " x ", picture.height, " pixels");
    return {encode_png(picture), std::nullopt};
  } catch (const LeftOut& reason) {
    return {"", reason.what()};
  }
}

std::vector<const NanoItem*> in_hash_order(const NanoSet& set) {
  std::vector<std::pair<uint64_t, const NanoItem*>> order;
  for (const NanoItem& item : set.items) order.emplace_back(key_hash(item.name), &item);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second->name) < std::tie(b.first, b.second->name);
  });
  std::vector<const NanoItem*> items;
  for (const auto& [hash, item] : order) items.push_back(item);
  return items;
}

std::string metadata_line(const NanoItem& item) {
  nlohmann::ordered_json line = {{"image_name", item.name}, {"captions", item.captions}};
  line.update(item.metadata);
  return line.dump() + "\n";
}

// One set on its way into its folder.
class SetWriter {
 public:
  SetWriter(const NanoSet& set, int64_t num_items, int size, const fs::path& folder)
      : folder_(folder), num_items_(num_items), size_(size), report_{set.name, 0, 0, set.left_out} {
    const int64_t num_shards =
        std::max<int64_t>(1, (num_items + kItemsPerShard - 1) / kItemsPerShard);
    for (int64_t i = 0; i < num_shards; ++i)
      shards_.push_back(std::make_unique<ShardWriter>(folder / shard_name(i, num_shards)));
  }

  void add(int64_t index, const NanoItem& item, Drawn drawn) {
    if (drawn.left_out) {
      ++report_.left_out[*drawn.left_out];
      ++num_not_drawn_;
      return;
    }
    if (sheet_.size() < kSheetPictures) {
      sheet_.emplace_back(decode_image(std::as_bytes(std::span(drawn.png)), item.name),
                          item.captions[sheet_.size() % item.captions.size()]);
    }
    const auto num_shards = static_cast<int64_t>(shards_.size());
    shards_[static_cast<size_t>(index * num_shards / num_items_)]->write(
        {std::move(drawn.png), size_, size_, 3, item.captions, item.name});
    metadata_ += metadata_line(item);
    ++report_.num_pictures;
  }

  BuildReport close() {
    check_user(
        static_cast<double>(num_not_drawn_) <= kMaxLeftOutShare * static_cast<double>(num_items_),
        report_.set, ": ", num_not_drawn_, " of ", num_items_,
        " pictures cannot be used; fetch the packages again with tools/fetch_nano_data.sh");
    DatasetInfo info;
    info.description = "i1 data build nano: " + report_.set;
    info.resolution = size_;
    for (const auto& shard : shards_) {
      shard->close();
      info.shard_lengths.push_back(shard->num_records());
      info.num_payload_bytes += shard->num_payload_bytes();
    }
    write_dataset_info(folder_, info);
    write_file_atomically(folder_ / "metadata.jsonl", metadata_);
    write_png(folder_ / "sheet.png", make_sheet(sheet_, kSheetColumns));
    report_.num_bytes = info.num_payload_bytes;
    return report_;
  }

 private:
  const fs::path folder_;
  const int64_t num_items_;
  const int size_;
  BuildReport report_;
  std::vector<std::unique_ptr<ShardWriter>> shards_;
  std::string metadata_;
  std::vector<std::pair<Image, std::string>> sheet_;
  int64_t num_not_drawn_ = 0;
};

}  // namespace

BuildReport write_set(const NanoSet& set, int size, const fs::path& output) {
  const fs::path path = output / set.name;
  check_user(!fs::exists(path) || fs::exists(path / "dataset_info.json"), path.string(),
             ": is there and is no data set, so it is not replaced; name another --output");
  AtomicFolder folder(path);
  const std::vector<const NanoItem*> items = in_hash_order(set);
  const auto num_items = static_cast<int64_t>(items.size());
  SetWriter writer(set, num_items, size, folder.partial());
  Progress progress(set.name, num_items, "pictures");
  for (int64_t begin = 0; begin < num_items; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, num_items);
    std::vector<Drawn> drawn(static_cast<size_t>(end - begin));
    at::parallel_for(begin, end, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        check_interrupt();
        drawn[static_cast<size_t>(i - begin)] = draw(*items[static_cast<size_t>(i)], size);
      }
    });
    for (int64_t i = begin; i < end; ++i)
      writer.add(i, *items[static_cast<size_t>(i)],
                 std::move(drawn[static_cast<size_t>(i - begin)]));
    progress.update(end);
  }
  const BuildReport report = writer.close();
  folder.commit();
  return report;
}

std::vector<BuildReport> build_nano(const NanoBuild& build) {
  check_user(build.size >= 32 && build.size <= 512 && build.size % 16 == 0, "--size ", build.size,
             ": expected a multiple of 16 in 32..512");
  for (const std::string& name : build.sets) {
    check_user(std::find(kNanoSets.begin(), kNanoSets.end(), name) != kNanoSets.end(),
               "--sets: no set \"", name, "\"; nearest: \"", nearest(name, kNanoSets), "\"");
  }
  const auto is_wanted = [&](const char* name) {
    return build.sets.empty() ||
           std::find(build.sets.begin(), build.sets.end(), name) != build.sets.end();
  };
  const FontsOf fonts(build.sources, build.output / ".fonts");
  std::vector<BuildReport> reports;
  const auto write = [&](const NanoSet& set) {
    reports.push_back(write_set(set, build.size, build.output));
  };
  if (is_wanted("emoji") || is_wanted("scenes")) {
    const EmojiSources sources(build.sources);
    if (is_wanted("emoji")) {
      const EmojiSets sets = make_emoji_sets(sources);
      for (const NanoSet* set :
           {&sets.emoji, &sets.tones, &sets.heldout_grid, &sets.heldout_style, &sets.truth})
        write(*set);
    }
    if (is_wanted("scenes")) {
      const ScenesSets sets = make_scenes_sets(sources, kNumScenes, kNumHeldOutScenes);
      write(sets.scenes);
      write(sets.heldout_scenes);
    }
  }
  if (is_wanted("clipart")) write(make_clipart_set(build.sources));
  if (is_wanted("stamps")) write(make_stamps_set(build.sources));
  if (is_wanted("shapes")) {
    const ShapesSets sets = make_shapes_sets(build.sources);
    write(sets.shapes);
    write(sets.heldout_shapes);
  }
  if (is_wanted("text")) {
    const TextSets sets = make_text_sets(build.sources, kNumTexts, kNumHeldOutTexts);
    write(sets.text);
    write(sets.heldout_text);
  }
  return reports;
}

}  // namespace i1
