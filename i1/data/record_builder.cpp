#include "i1/data/record_builder.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/progress.h"
#include "i1/core/random.h"
#include "i1/data/example.h"
#include "i1/data/transform.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPicturesAtOnce = 64, kSheetPictures = 60;

enum class Fate { kWritten, kMissing, kDecodeError, kFiltered };

struct Made {
  Fate fate = Fate::kMissing;
  Example example;
  std::string problem = {};
};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

int shorter_edge(const std::string& bytes, const std::string& where) {
  const ImageSize size = probe_image(bytes_of(bytes), where);
  return std::min(size.width, size.height);
}

Image decode(const std::string& bytes, const std::string& where,
             const std::array<uint8_t, 3>& background) {
  const auto [red, green, blue] = background;
  return composite(decode_image(bytes_of(bytes), where, {.keep_alpha = true}), red, green, blue);
}

// The order of the checks decides what a picture with several faults is counted as.
Made make_example(const SourcePicture& picture, const CaptionTable& captions,
                  const RecordBuildOptions& options) {
  auto texts = captions.find(picture.key);
  if (!texts) return {Fate::kMissing, {}, picture.key};
  const int size = options.image_size;
  try {
    const std::string bytes = read_source(picture);
    if (options.filter_shorter_edge && shorter_edge(bytes, picture.key) < size)
      return {Fate::kFiltered, {}, picture.key};
    const std::vector<ImageSize> sizes = bucket_sizes(options.buckets, options.image_size);
    const ImageSize whole = probe_image(bytes_of(bytes), picture.key);
    const ImageSize& target =
        sizes[static_cast<size_t>(nearest_bucket(sizes, whole.width, whole.height))];
    const Image image =
        options.background
            ? resize_and_crop(decode(bytes, picture.key, *options.background), target)
            : decode_resized(bytes_of(bytes), picture.key, target, options.is_fast);
    return {Fate::kWritten,
            {encode_png(image), image.height, image.width, 3, std::move(*texts), picture.key}};
  } catch (const UserError& error) {
    return {Fate::kDecodeError, {}, error.what()};
  }
}

void count(ShardReport& report, const Made& made) {
  const auto add = [&](int64_t& number, std::string& first) {
    if (number++ == 0) first = made.problem;
  };
  switch (made.fate) {
    case Fate::kWritten:
      ++report.written;
      break;
    case Fate::kMissing:
      add(report.missing, report.first_missing);
      break;
    case Fate::kDecodeError:
      add(report.decode_errors, report.first_decode_error);
      break;
    case Fate::kFiltered:
      add(report.filtered, report.first_filtered);
      break;
  }
}

// Pictures of a data set on their way into shards.
class RecordWriter {
 public:
  RecordWriter(const std::vector<SourcePicture>& pictures, const CaptionTable& captions,
               const RecordBuildOptions& options, int64_t num_pictures)
      : pictures_(pictures),
        captions_(captions),
        options_(options),
        num_pictures_(num_pictures),
        progress_("pictures", num_pictures, "pictures") {}

  ShardReport write_shard(Span range, const fs::path& path) {
    ShardReport report{path.filename().string()};
    ShardWriter writer(path);
    for (int64_t begin = range.begin; begin < range.end; begin += kPicturesAtOnce) {
      const Span block{begin, std::min(begin + kPicturesAtOnce, range.end)};
      for (const Made& one : make(block)) {
        ++num_done_;
        count(report, one);
        if (one.fate != Fate::kWritten) continue;
        writer.write(one.example);
        show(one.example);
      }
      progress_.update(num_done_);
    }
    writer.close();
    return report;
  }

  std::vector<std::pair<Image, std::string>> take_sheet() { return std::move(sheet_); }

 private:
  std::vector<Made> make(Span block) const {
    std::vector<Made> made(static_cast<size_t>(block.size()));
    at::parallel_for(block.begin, block.end, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        check_interrupt();
        made[static_cast<size_t>(i - block.begin)] =
            make_example(pictures_[static_cast<size_t>(i)], captions_, options_);
      }
    });
    return made;
  }

  // Evenly over the pictures written in this run, of several captions each in its turn.
  void show(const Example& example) {
    const auto num_shown = static_cast<int64_t>(sheet_.size());
    if (num_shown >= kSheetPictures || num_done_ * kSheetPictures < num_shown * num_pictures_)
      return;
    const auto& captions = example.captions;
    sheet_.emplace_back(decode_image(bytes_of(example.png), example.image_name),
                        captions.empty() ? "" : captions[sheet_.size() % captions.size()]);
  }

  const std::vector<SourcePicture>& pictures_;
  const CaptionTable& captions_;
  const RecordBuildOptions& options_;
  const int64_t num_pictures_;
  Progress progress_;
  int64_t num_done_ = 0;
  std::vector<std::pair<Image, std::string>> sheet_;
};

// A uniform sample in random order: the first `count` places of a shuffle.
std::vector<SourcePicture> sample(std::vector<SourcePicture> pictures, int64_t count,
                                  const RandomStream& stream) {
  const auto total = static_cast<int64_t>(pictures.size());
  if (count >= total) return pictures;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t other = i + stream.below(static_cast<uint64_t>(i), total - i);
    std::swap(pictures[static_cast<size_t>(i)], pictures[static_cast<size_t>(other)]);
  }
  pictures.resize(static_cast<size_t>(count));
  return pictures;
}

// Of the pictures whose header is large enough; unreadable ones are left out.
std::vector<SourcePicture> sample_by_header(const std::vector<SourcePicture>& pictures,
                                            const RecordBuildOptions& options,
                                            const RandomStream& stream) {
  Reservoir reservoir(*options.target_count, [&](int64_t range) {
    return stream.below(static_cast<uint64_t>(range), range);
  });
  for (size_t i = 0; i < pictures.size(); ++i) {
    try {
      if (shorter_edge(read_source(pictures[i]), pictures[i].key) >= options.image_size)
        reservoir.add(static_cast<int64_t>(i));
    } catch (const UserError&) {
    }
  }
  std::vector<SourcePicture> chosen;
  for (const int64_t i : reservoir.sample()) chosen.push_back(pictures[static_cast<size_t>(i)]);
  return chosen;
}

}  // namespace

ShardReport RecordBuildReport::total() const {
  ShardReport sum;
  for (const ShardReport& shard : shards) {
    sum.written += shard.written;
    sum.missing += shard.missing;
    sum.decode_errors += shard.decode_errors;
    sum.filtered += shard.filtered;
    const auto keep_first = [](std::string& first, const std::string& later) {
      if (first.empty()) first = later;
    };
    keep_first(sum.first_missing, shard.first_missing);
    keep_first(sum.first_decode_error, shard.first_decode_error);
    keep_first(sum.first_filtered, shard.first_filtered);
  }
  return sum;
}

std::vector<SourcePicture> select_pictures(std::vector<SourcePicture> pictures,
                                           const RecordBuildOptions& options,
                                           RecordBuildReport& report) {
  const RandomStream stream = RandomStream{options.seed, 0}.child("sample");
  const bool has_metadata = options.filter_shorter_edge && !options.shape_metadata.empty();
  if (has_metadata) {
    const auto edges = read_shape_metadata(options.shape_metadata);
    std::vector<SourcePicture> kept;
    for (SourcePicture& picture : pictures) {
      const auto edge = edges.find(picture.key);
      report.skipped_without_metadata += edge == edges.end();
      if (edge != edges.end() && edge->second >= options.image_size)
        kept.push_back(std::move(picture));
    }
    report.kept_by_metadata = static_cast<int64_t>(kept.size());
    pictures = std::move(kept);
  }
  if (!options.target_count) return pictures;
  check_user(*options.target_count >= 0, "a sample of ", *options.target_count, " pictures");
  if (options.filter_shorter_edge && !has_metadata)
    return sample_by_header(pictures, options, stream);
  return sample(std::move(pictures), *options.target_count, stream);
}

RecordBuildReport build_records(std::vector<SourcePicture> pictures, const CaptionTable& captions,
                                const RecordBuildOptions& options, const fs::path& output) {
  const Span shards = options.shards.value_or(Span{0, options.num_shards});
  check_user(options.num_shards > 0 && shards.begin >= 0 && shards.begin <= shards.end &&
                 shards.end <= options.num_shards,
             "shards ", shards.begin, " to ", shards.end, " of ", options.num_shards,
             "; expected a range within 0 to ", options.num_shards);
  RecordBuildReport report;
  pictures = in_reading_order(select_pictures(std::move(pictures), options, report));
  make_folder(output);
  const auto range_of = [&](int64_t shard) {
    return even_part(static_cast<int64_t>(pictures.size()), shard, options.num_shards);
  };
  const int64_t num_pictures =
      shards.size() == 0 ? 0 : range_of(shards.end - 1).end - range_of(shards.begin).begin;
  RecordWriter writer(pictures, captions, options, num_pictures);
  for (int64_t shard = shards.begin; shard < shards.end; ++shard) {
    report.shards.push_back(
        writer.write_shard(range_of(shard), output / shard_name(shard, options.num_shards)));
  }
  report.sheet = writer.take_sheet();
  return report;
}

void complete_dataset(const fs::path& folder, int image_size, const std::string& description) {
  DatasetInfo info;
  info.description = description;
  info.resolution = image_size;
  for (const fs::path& shard : find_shards(folder)) {
    const MappedFile file(shard);
    RecordReader reader(file.bytes(), shard.string());
    int64_t num_records = 0;
    while (const auto payload = reader.next()) {
      ++num_records;
      info.num_payload_bytes += static_cast<int64_t>(payload->size());
    }
    info.shard_lengths.push_back(num_records);
  }
  write_dataset_info(folder, info);
}

}  // namespace i1
