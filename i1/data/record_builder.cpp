#include "i1/data/record_builder.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/random.h"
#include "i1/data/example.h"
#include "i1/data/transform.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPicturesAtOnce = 64;

enum class Fate { kWritten, kMissing, kDecodeError, kFiltered };

struct Made {
  Fate fate = Fate::kMissing;
  Example example;
};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

int shorter_edge(const std::string& bytes, const std::string& where) {
  const ImageSize size = probe_image(bytes_of(bytes), where);
  return std::min(size.width, size.height);
}

// The order of the checks decides what a picture with several faults is counted as.
Made make_example(const SourcePicture& picture, const CaptionTable& captions,
                  const RecordBuildOptions& options) {
  auto texts = captions.find(picture.key);
  if (!texts) return {Fate::kMissing, {}};
  const int size = options.image_size;
  try {
    const std::string bytes = read_source(picture);
    if (options.filter_shorter_edge && shorter_edge(bytes, picture.key) < size)
      return {Fate::kFiltered, {}};
    const Image image = resize_and_crop(decode_image(bytes_of(bytes), picture.key), size);
    return {Fate::kWritten, {encode_png(image), size, size, 3, std::move(*texts), picture.key}};
  } catch (const UserError&) {
    return {Fate::kDecodeError, {}};
  }
}

void count(ShardReport& report, Fate fate) {
  switch (fate) {
    case Fate::kWritten:
      ++report.written;
      break;
    case Fate::kMissing:
      ++report.missing;
      break;
    case Fate::kDecodeError:
      ++report.decode_errors;
      break;
    case Fate::kFiltered:
      ++report.filtered;
      break;
  }
}

ShardReport write_shard(const std::vector<SourcePicture>& pictures, Span range,
                        const CaptionTable& captions, const RecordBuildOptions& options,
                        const fs::path& path) {
  ShardReport report{path.filename().string()};
  ShardWriter writer(path);
  for (int64_t begin = range.begin; begin < range.end; begin += kPicturesAtOnce) {
    const int64_t end = std::min(begin + kPicturesAtOnce, range.end);
    std::vector<Made> made(static_cast<size_t>(end - begin));
    at::parallel_for(begin, end, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        check_interrupt();
        made[static_cast<size_t>(i - begin)] =
            make_example(pictures[static_cast<size_t>(i)], captions, options);
      }
    });
    for (const Made& one : made) {
      count(report, one.fate);
      if (one.fate == Fate::kWritten) writer.write(one.example);
    }
  }
  writer.close();
  return report;
}

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
  pictures = select_pictures(std::move(pictures), options, report);
  make_folder(output);
  for (int64_t shard = shards.begin; shard < shards.end; ++shard) {
    const Span range = even_part(static_cast<int64_t>(pictures.size()), shard, options.num_shards);
    report.shards.push_back(write_shard(pictures, range, captions, options,
                                        output / shard_name(shard, options.num_shards)));
  }
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
