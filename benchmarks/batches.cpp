// Examples a second as training gets them: from TFRecord shards (PNG decoded, shuffled, in batches)
// or from a latent cache made for it in a scratch folder. One JSON line (benchmarks/feed.sh).
#include <ATen/ops/full.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

#include "benchmarks/program.h"
#include "i1/core/files.h"
#include "i1/data/cached_batches.h"
#include "i1/data/streamed_batches.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWarmUp = 20;

template <class Batches>
void measure(const char* name, Batches& batches, int64_t batch_size, int64_t num_examples) {
  for (int64_t i = 0; i < kWarmUp; ++i) batches.next(batch_size);
  const int64_t num_batches = num_examples / batch_size;
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < num_batches; ++i) batches.next(batch_size);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  const double rate = static_cast<double>(num_batches * batch_size) / time.count();
  std::cout << nlohmann::ordered_json{{"program", name}, {"examples_per_second", rate}}.dump()
            << std::endl;
}

// Latents of 256 px, bfloat16, 64 KB each; two captions of 20 tokens.
LatentCache write_cache(const fs::path& folder, int64_t num_examples) {
  CacheOrigin origin;
  origin.resolution = 256;
  origin.vae = origin.tokenizer = "none";
  origin.num_text_tokens = 64;
  CacheWriter writer(folder, origin);
  for (int64_t i = 0; i < num_examples; ++i) {
    std::vector<int64_t> ids(20, i % 1000), captions;
    for (int c = 0; c < 2; ++c, ids.back() += i + 1) captions.push_back(writer.caption_number(ids));
    writer.add(at::full({1, 32, 32, 32}, static_cast<double>(i), at::kFloat), {captions},
               {std::to_string(i)});
  }
  writer.finish();
  return LatentCache::open(folder);
}

int run(int argc, char** argv) {
  CLI::App app("Examples a second as training gets them.");
  fs::path records;
  int64_t batch_size = 64, num_examples = 4000, cache_size = 8000;
  int num_threads = 2;
  app.add_option("--records", records, "folder of TFRecord shards; without it a latent cache");
  app.add_option("--cache-size", cache_size, "examples of the cache");
  app.add_option("--batch-size", batch_size);
  app.add_option("--examples", num_examples);
  app.add_option("--threads", num_threads);
  CLI11_PARSE(app, argc, argv);
  if (!records.empty()) {
    StreamOptions options;
    options.resolution = 256;
    options.shuffle_buffer = 1000;
    options.num_threads = num_threads;
    StreamedBatches batches({records}, options);
    measure("ours, records", batches, batch_size, num_examples);
    return 0;
  }
  const TemporaryFolder folder("benchmark");
  BatchOptions options;
  options.num_threads = num_threads;
  CachedBatches batches({write_cache(folder.path() / "cache", cache_size)}, {1}, 0.1, 0, options);
  measure("ours, cache", batches, batch_size, num_examples);
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) { return i1::run_program("batches", i1::run, argc, argv); }
