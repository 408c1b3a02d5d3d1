// Time to tokenise one stretch of text without a newline, the worst case for byte-pair encoding
// without words. Vocabulary: the folder or file that I1_TOKENIZER names, else one trained here on
// the same kind of text.
#include <benchmark/benchmark.h>
#include <cmath>
#include <cstdlib>

#include "i1/core/random.h"
#include "i1/text/bpe_trainer.h"
#include "i1/text/tokenizer.h"

namespace i1 {
namespace {

// Words of one to four syllables, the k-th used about 1/k as often as the first.
std::string text(size_t size) {
  const RandomStream stream{.seed = 1};
  std::string out;
  for (uint64_t i = 0; out.size() < size; ++i) {
    const auto word = static_cast<uint64_t>(std::exp(stream.uniform(i) * std::log(50000.0)));
    const RandomStream letters = stream.child("word", word);
    const int64_t num_syllables = 1 + letters.below(0, 4);
    for (int64_t s = 0; s < num_syllables; ++s) {
      out += "bcdfghklmnprstvw"[letters.below(static_cast<uint64_t>(2 * s + 1), 16)];
      out += "aeiou"[letters.below(static_cast<uint64_t>(2 * s + 2), 5)];
    }
    out += stream.below(i, 8) == 0 ? ", " : " ";
  }
  out.resize(size);
  return out;
}

Tokenizer load() {
  if (const char* path = std::getenv("I1_TOKENIZER")) return load_tokenizer(path);
  const std::vector<std::string> captions = {text(1 << 21)};
  const auto folder = std::filesystem::temp_directory_path() / "i1_tokenizer_benchmark";
  save_tokenizer(train_bpe(captions), folder);
  return load_tokenizer(folder);
}

void encode(benchmark::State& state) {
  static const Tokenizer tokenizer = load();
  const std::string input = text(static_cast<size_t>(state.range(0)));
  size_t num_tokens = 0;
  for (auto _ : state) {
    const std::vector<int64_t> ids = tokenizer.encode(input);
    benchmark::DoNotOptimize(ids.data());
    num_tokens = ids.size();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.counters["bytes_per_token"] =
      static_cast<double>(input.size()) / static_cast<double>(num_tokens);
}
BENCHMARK(encode)->RangeMultiplier(16)->Range(1 << 12, 1 << 20)->Unit(benchmark::kMillisecond);

void train(benchmark::State& state) {
  const std::vector<std::string> captions = {text(static_cast<size_t>(state.range(0)))};
  for (auto _ : state) benchmark::DoNotOptimize(train_bpe(captions));
}
BENCHMARK(train)->Arg(1 << 21)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace i1
