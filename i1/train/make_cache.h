// The passes that fill latent caches: pictures through the autoencoder, captions through tokenizer
// and text encoder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "i1/data/cache.h"

namespace i1 {

struct MakeCacheOptions {
  std::filesystem::path source;     ///< a folder of TFRecord shards
  std::filesystem::path output;     ///< the cache's folder, which must not exist
  std::filesystem::path vae;        ///< see Vae::load
  std::filesystem::path tokenizer;  ///< a folder with tokenizer.json
  int64_t resolution = 64;
  Buckets buckets;  ///< other shapes at as many pixels; none by default
  int64_t num_text_tokens = 64;
  at::ScalarType dtype = at::kFloat;  ///< that the autoencoder computes in
  int64_t max_examples =
      0;  ///< 0 = all; sets lie in the order of a hash, so the first are a fair sample
  double max_bad_fraction = 0.01;  ///< of records that cannot be used, above which the pass stops
};

/// Encodes every picture of a set at `resolution`, or in the bucket that cuts least of it (scaled
/// to cover the size, centre crop; the mean of the autoencoder's distribution) and every caption to
/// tokens. Bad records are counted by reason and skipped. Returns the number of examples.
int64_t make_cache(const MakeCacheOptions& options, at::Device device);

/// Adds the states of a trained text encoder (a Hugging Face folder) to a cache.
void cache_text_states(const std::filesystem::path& cache, const std::filesystem::path& encoder,
                       at::Device device);

/// Learns a byte-pair vocabulary from all captions of some TFRecord sets and writes it to `output`.
void make_tokenizer(const std::vector<std::filesystem::path>& sources, int64_t vocab_size,
                    const std::filesystem::path& output, double max_bad_fraction = 0.01);

}  // namespace i1
