#include "i1/data/picture_maker.h"

#include <algorithm>

#include "i1/core/base64.h"
#include "i1/core/error.h"
#include "i1/data/parallel.h"
#include "i1/data/picture_sample.h"
#include "i1/data/shard_writer.h"
#include "i1/data/transform.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

constexpr int kSmallEdge = 128, kSmallQuality = 80;
constexpr int64_t kMaxPixelsToShow = 16'000'000;

// The whole picture, over the background where there is one.
Image decode_over(std::span<const std::byte> bytes, const std::string& where,
                  const RecordBuildOptions& options) {
  if (!options.background) return decode_image(bytes, where);
  const auto [red, green, blue] = *options.background;
  return composite(decode_image(bytes, where, {.keep_alpha = true}), red, green, blue);
}

// One picture, cut to one size after the other: decoded whole where there are several, and where
// alpha counts. What the crop shows has the same pixels either way.
class Cutter {
 public:
  Cutter(std::span<const std::byte> bytes, const std::string& where,
         const RecordBuildOptions& options, bool is_for_one)
      : bytes_(bytes), where_(where), options_(options), size_(probe_image(bytes, where)) {
    if (options.background || (!is_for_one && !options.is_fast))
      whole_ = decode_over(bytes, where, options);
  }

  Image cut(const Resolution& set) const {
    const std::vector<ImageSize> sizes = bucket_sizes(set.buckets, set.size);
    const auto nearest = static_cast<size_t>(nearest_bucket(sizes, size_.width, size_.height));
    if (whole_) return resize_and_crop(*whole_, sizes[nearest]);
    return decode_resized(bytes_, where_, sizes[nearest], options_.is_fast);
  }

 private:
  const std::span<const std::byte> bytes_;
  const std::string& where_;
  const RecordBuildOptions& options_;
  const ImageSize size_;
  std::optional<Image> whole_;
};

std::string text_of(const ImageSize& size, const std::string& key) {
  return concat(key, " (", size.width, "x", size.height, ")");
}

}  // namespace

std::vector<std::vector<MadePicture>> PictureMaker::make(
    std::span<const SourcePicture> pictures, const std::vector<size_t>& resolutions) const {
  std::vector<std::vector<MadePicture>> made(pictures.size());
  for_each_in_parallel(pictures.size(),
                       [&](size_t i) { made[i] = make_one(pictures[i], resolutions); });
  return made;
}

std::vector<MadePicture> PictureMaker::make_one(const SourcePicture& picture,
                                                const std::vector<size_t>& resolutions) const {
  try {
    return try_one(picture, resolutions);
  } catch (const RecordError& fault) {
    return std::vector<MadePicture>(resolutions.size(), {{}, fault});
  } catch (const UserError& error) {
    const RecordError fault(kNotDecoded, error.what());
    return std::vector<MadePicture>(resolutions.size(), {{}, fault});
  }
}

// The order of the checks decides what a picture with several faults is counted as: a missing
// caption comes before whatever is wrong with the picture.
std::vector<MadePicture> PictureMaker::try_one(const SourcePicture& picture,
                                               const std::vector<size_t>& resolutions) const {
  const std::string& key = picture.key;
  const auto texts = captions_.find(key);
  check_record(texts.has_value(), kWithoutCaption, key);
  if (picture.fault != nullptr) throw RecordError(*picture.fault);
  check_record(options_.format != ShardFormat::kWebDataset || is_tar_key(key), kNoTarKey, key);

  const SourceBytes source(picture);
  ImageSize size;
  if (needs_size(options_)) {
    size = probe_image(source.bytes(), key);
    if (const char* reason = size_fault(size, options_); reason != nullptr)
      throw RecordError(reason, text_of(size, key));
  }
  std::vector<MadePicture> made(resolutions.size());
  std::optional<Cutter> cutter;
  for (size_t k = 0; k < resolutions.size(); ++k) {
    const Resolution& set = options_.resolutions[resolutions[k]];
    if (set.min_edge > 0 && std::min(size.width, size.height) < set.min_edge) {
      made[k].fault = RecordError(kTooSmall, text_of(size, key));
      continue;
    }
    if (!cutter) cutter.emplace(source.bytes(), key, options_, resolutions.size() == 1);
    const Image image = cutter->cut(set);
    made[k].example = {encode_png(image), image.height, image.width, 3, *texts, key};
  }
  return made;
}

std::string small_copy(const SourcePicture& picture, const RecordBuildOptions& options) {
  if (picture.table != nullptr) return "";
  try {
    const SourceBytes source(picture);
    const ImageSize size = probe_image(source.bytes(), picture.key);
    if (int64_t{size.width} * size.height > kMaxPixelsToShow) return "";
    const Image whole = decode_over(source.bytes(), picture.key, options);
    const Image image = fit_within(whole, kSmallEdge);
    return encode_base64(encode_jpeg(image, kSmallQuality));
  } catch (const UserError&) {
    return "";
  }
}

}  // namespace i1
