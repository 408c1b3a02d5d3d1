#include "i1/data/picture_sample.h"

#include <algorithm>

#include "i1/core/error.h"
#include "i1/core/interrupt.h"
#include "i1/core/random.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

int smallest_min_edge(const RecordBuildOptions& options) {
  int smallest = options.resolutions.front().min_edge;
  for (const Resolution& resolution : options.resolutions)
    smallest = std::min(smallest, resolution.min_edge);
  return smallest;
}

// Those whose entry is large enough.
std::vector<SourcePicture> select_by_metadata(std::vector<SourcePicture> pictures,
                                              const RecordBuildOptions& options,
                                              BadRecords& left_out) {
  const auto edges = read_shape_metadata(options.shape_metadata);
  std::vector<SourcePicture> kept;
  for (SourcePicture& picture : pictures) {
    const auto edge = edges.find(picture.key);
    if (edge == edges.end()) {
      left_out.add(RecordError(kNoMetadata, picture.key));
    } else if (edge->second < smallest_min_edge(options)) {
      left_out.add(RecordError(kTooSmall, picture.key));
    } else {
      kept.push_back(std::move(picture));
    }
  }
  return kept;
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

// Of the pictures whose header passes; unreadable ones are left out.
std::vector<SourcePicture> sample_by_header(const std::vector<SourcePicture>& pictures,
                                            const RecordBuildOptions& options,
                                            const RandomStream& stream) {
  Reservoir reservoir(*options.target_count, [&](int64_t range) {
    return stream.below(static_cast<uint64_t>(range), range);
  });
  for (size_t i = 0; i < pictures.size(); ++i) {
    check_interrupt();
    try {
      const SourceBytes source(pictures[i]);
      const ImageSize size = probe_image(source.bytes(), pictures[i].key);
      if (size_fault(size, options) == nullptr) reservoir.add(static_cast<int64_t>(i));
    } catch (const UserError&) {
    }
  }
  std::vector<SourcePicture> chosen;
  for (const int64_t i : reservoir.sample()) chosen.push_back(pictures[static_cast<size_t>(i)]);
  return chosen;
}

}  // namespace

bool needs_size(const RecordBuildOptions& options) {
  const auto& resolutions = options.resolutions;
  return options.max_aspect > 0 || options.max_pixels > 0 ||
         std::any_of(resolutions.begin(), resolutions.end(),
                     [](const Resolution& resolution) { return resolution.min_edge > 0; });
}

const char* size_fault(const ImageSize& size, const RecordBuildOptions& options) {
  const auto [shorter, longer] = std::minmax(size.width, size.height);
  if (options.max_pixels > 0 && int64_t{shorter} * longer > options.max_pixels)
    return kTooManyPixels;
  if (shorter < smallest_min_edge(options)) return kTooSmall;
  if (options.max_aspect > 0 && longer > options.max_aspect * shorter) return kTooElongated;
  return nullptr;
}

std::vector<SourcePicture> select_pictures(std::vector<SourcePicture> pictures,
                                           const RecordBuildOptions& options,
                                           BadRecords& left_out) {
  const RandomStream stream = RandomStream{options.seed, 0}.child("sample");
  const bool has_metadata = !options.shape_metadata.empty() && smallest_min_edge(options) > 0;
  if (has_metadata) pictures = select_by_metadata(std::move(pictures), options, left_out);
  if (!options.target_count) return pictures;
  check_user(*options.target_count >= 0, "a sample of ", *options.target_count, " pictures");
  std::erase_if(pictures, [&](const SourcePicture& picture) {
    if (picture.fault != nullptr) left_out.add(*picture.fault);
    return picture.fault != nullptr;
  });
  if (needs_size(options) && !has_metadata) return sample_by_header(pictures, options, stream);
  return sample(std::move(pictures), *options.target_count, stream);
}

}  // namespace i1
