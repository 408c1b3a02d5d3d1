#include "i1/train/make_cache.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/progress.h"
#include "i1/data/bad_records.h"
#include "i1/data/example.h"
#include "i1/data/record_stream.h"
#include "i1/data/transform.h"
#include "i1/text/bpe_trainer.h"
#include "i1/text/t5gemma.h"
#include "i1/text/tokenizer.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPicturesAtOnce = 32;

// Calls take(example, where) for every readable record until that returns false; what cannot be
// used is counted by reason, and ends the pass as soon as it must be too much of the whole set.
template <class Take>
void for_each_example(const fs::path& folder, double max_bad_fraction, Take&& take) {
  BadRecords bad;
  const std::string name = folder.string();
  const int64_t num_records = RecordSet(folder).num_records();
  int64_t num_read = 0;
  bool goes_on = true;
  for (const fs::path& shard : find_shards(folder)) {
    const MappedFile file(shard);
    RecordReader reader(file.bytes(), shard.string());
    while (goes_on && reader.offset() < file.bytes().size()) {
      ++num_read;
      check_interrupt();
      const std::string where = concat(shard.string(), ", byte ", reader.offset());
      try {
        const Example example = parse_stored_example(*reader.next(), where);
        check_captions(example, /*needs_caption=*/false, where);
        goes_on = take(example, where);
      } catch (const RecordError& error) {
        bad.add(error);
        if (static_cast<double>(bad.total()) > max_bad_fraction * static_cast<double>(num_records))
          check_bad_fraction({&bad, 1}, {&name, 1}, max_bad_fraction, num_read);
      }
    }
  }
  if (bad.total() > 0) std::fprintf(stderr, "left out: %s", bad.report().c_str());
  check_bad_fraction({&bad, 1}, {&name, 1}, max_bad_fraction, num_read);
}

struct Pending {
  std::vector<at::Tensor> pictures;
  std::vector<std::vector<int64_t>> captions;
  std::vector<std::string> names;
};

at::Tensor to_tensor(const Image& image) {
  return at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {1, image.height, image.width, 3},
                       at::kByte)
      .clone();
}

}  // namespace

int64_t make_cache(const MakeCacheOptions& options, at::Device device) {
  const at::NoGradGuard no_grad;
  const Tokenizer tokenizer = load_tokenizer(options.tokenizer);
  const Vae vae = Vae::load(options.vae, device, options.dtype);
  CacheOrigin origin;
  origin.resolution = options.resolution;
  origin.buckets = options.buckets;
  origin.transform = kPictureTransform;
  origin.vae =
      concat(vae.name(), " ", file_digest(options.vae), " mean ", c10::toString(options.dtype));
  origin.tokenizer = file_digest(options.tokenizer / "tokenizer.json");
  origin.num_text_tokens = options.num_text_tokens;
  origin.source = source_digest(options.source);
  CacheWriter writer(options.output, origin);

  int64_t most = RecordSet(options.source).num_records();
  if (options.max_examples > 0) most = std::min(most, options.max_examples);
  Progress progress("caching " + options.source.filename().string(), most, "pictures");
  const std::vector<ImageSize> sizes = bucket_sizes(options.buckets, options.resolution);
  std::vector<Pending> waiting(sizes.size());  // one a bucket
  int64_t count = 0;
  const auto flush = [&](int64_t bucket) {
    Pending& pending = waiting[static_cast<size_t>(bucket)];
    if (pending.pictures.empty()) return;
    const at::Tensor pixels = to_pixels(at::cat(pending.pictures)).to(device);  // (k, 3, H, W)
    writer.add(vae.encode(pixels), pending.captions, pending.names, bucket);
    pending = {};
  };
  for_each_example(options.source, options.max_bad_fraction,
                   [&](const Example& example, const std::string& where) {
                     const Image picture = decode_picture(example, where);
                     const int64_t bucket = nearest_bucket(sizes, picture.width, picture.height);
                     const ImageSize& size = sizes[static_cast<size_t>(bucket)];
                     Pending& pending = waiting[static_cast<size_t>(bucket)];
                     pending.pictures.push_back(to_tensor(fit_picture(picture, size, where)));
                     std::vector<int64_t> captions;
                     for (const std::string& caption : example.captions) {
                       captions.push_back(writer.caption_number(tokenizer.encode(
                           caption, static_cast<size_t>(options.num_text_tokens))));
                     }
                     pending.captions.push_back(std::move(captions));
                     pending.names.push_back(example.image_name);
                     if (static_cast<int64_t>(pending.pictures.size()) == kPicturesAtOnce)
                       flush(bucket);
                     progress.update(++count);
                     return count != options.max_examples;
                   });
  for (size_t bucket = 0; bucket < sizes.size(); ++bucket) flush(static_cast<int64_t>(bucket));
  writer.finish();
  return count;
}

void cache_text_states(const fs::path& cache, const fs::path& encoder_folder, at::Device device) {
  const at::NoGradGuard no_grad;
  const T5GemmaEncoder encoder = load_t5gemma(encoder_folder, device);
  const int64_t num_text_tokens = LatentCache::open(cache).origin().num_text_tokens;
  const PackedText empty = encode_text(encoder, {{}}, num_text_tokens);
  add_text_states(cache, file_digest(encoder_folder), empty.hidden.select(0, 0),
                  [&](const std::vector<std::vector<int64_t>>& captions) {
                    check_interrupt();
                    const PackedText text = encode_text(encoder, captions, num_text_tokens);
                    std::vector<at::Tensor> states;
                    for (const PackedPrompt& prompt : text.prompts) {
                      states.push_back(text.hidden.narrow(0, prompt.begin, prompt.num_tokens));
                    }
                    return states;
                  });
}

void make_tokenizer(const std::vector<fs::path>& sources, int64_t vocab_size,
                    const fs::path& output, double max_bad_fraction) {
  for (const fs::path& source : sources) find_shards(source);
  make_folder(output);
  std::vector<std::string> captions;
  for (const fs::path& source : sources) {
    for_each_example(source, max_bad_fraction, [&](const Example& example, const std::string&) {
      captions.insert(captions.end(), example.captions.begin(), example.captions.end());
      return true;
    });
  }
  check_user(!captions.empty(), "no caption in any of the sets to learn a tokenizer from");
  BpeTrainerOptions options;
  options.vocab_size = vocab_size;
  save_tokenizer(train_bpe(captions, options), output);
}

}  // namespace i1
