// i1 data cache, i1 data tokenizer: what training reads instead of pictures and text.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/bundle.h"
#include "i1/core/compute_dtype.h"
#include "i1/data/example.h"
#include "i1/train/make_cache.h"
#include "i1/train/trainer.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

struct Sets {
  fs::path data_root;
  std::vector<std::string> names;
};

void add_set_options(CLI::App& app, Sets& sets) {
  app.add_option("--data-root", sets.data_root, "folder that holds one folder a data set")
      ->required();
  app.add_option("--sets", sets.names, "names of the data sets")->required()->delimiter(',');
}

void print(const fs::path& folder) {
  const LatentCache cache = LatentCache::open(folder);
  std::printf("%s: %ld examples\n", folder.c_str(), cache.size());
  const CacheOrigin& origin = cache.origin();
  if (origin.buckets.unit == 0) return;
  const std::vector<ImageSize> sizes = bucket_sizes(origin.buckets, origin.resolution);
  for (size_t i = 0; i < sizes.size(); ++i) {
    std::printf("    %4d x %4d  %7ld\n", sizes[i].width, sizes[i].height,
                cache.bucket_size(static_cast<int64_t>(i)));
  }
  std::printf("    to train on them: buckets.unit=%ld\n", origin.buckets.unit);
}

void add_bad_option(CLI::App& app, double& max_bad_fraction) {
  app.add_option("--max-bad-fraction", max_bad_fraction,
                 "stop where more than this part of a set's records cannot be used; below, they "
                 "are left out and counted by reason")
      ->check(real_number(0, 0.999))
      ->capture_default_str();
}

}  // namespace

int run_data_tokenizer(int argc, char** argv) {
  CLI::App app("Learns a byte-pair tokenizer from the captions of some data sets.");
  Sets sets;
  fs::path output;
  int64_t vocab_size = 8000;
  double max_bad_fraction = 0.01;
  add_set_options(app, sets);
  app.add_option("--output", output, "folder for tokenizer.json")->required();
  app.add_option("--vocab-size", vocab_size, "number of pieces")
      ->check(whole_number<int64_t>(1, 1'000'000))
      ->capture_default_str();
  add_bad_option(app, max_bad_fraction);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  std::vector<fs::path> sources;
  for (const std::string& name : sets.names) sources.push_back(sets.data_root / name);
  make_tokenizer(sources, vocab_size, output, max_bad_fraction);
  std::printf("%s\n", (output / "tokenizer.json").c_str());
  return 0;
}

int run_data_cache(int argc, char** argv) {
  CLI::App app(
      "Encodes pictures and captions of some data sets once, so that training reads neither.");
  Sets sets;
  fs::path output, encoder;
  std::string dtype = "auto", vae = "taef2";
  MakeCacheOptions options;
  MachineOptions machine;
  bool has_buckets = false;
  add_set_options(app, sets);
  app.add_option("--output", output, "folder for one cache a data set")->required();
  app.add_option("--vae", vae, "autoencoder: a bundled name, a TAEF2 file or a diffusers folder")
      ->capture_default_str();
  app.add_option("--tokenizer", options.tokenizer, "folder with tokenizer.json")->required();
  app.add_option("--size", options.resolution, "side of the pictures in pixels")
      ->check(whole_number<int64_t>(8, 4096))
      ->capture_default_str();
  app.add_flag("--buckets", has_buckets,
               "keep about the shape of pictures: nine sizes of as many pixels, up to 7:4 (fewer "
               "below 256 pixels); the recipe then needs buckets.unit=UNIT, which is printed");
  app.add_option("--max-examples", options.max_examples, "of each set; 0 = all")
      ->check(whole_number<int64_t>(0))
      ->capture_default_str();
  app.add_option("--tokens", options.num_text_tokens, "length that captions are padded to")
      ->check(whole_number<int64_t>(1, 65536))
      ->capture_default_str();
  app.add_option("--dtype", dtype, "that the autoencoder computes in: float32, bfloat16, auto")
      ->capture_default_str();
  app.add_option("--text-encoder", encoder, "a trained encoder: its states are stored too");
  add_bad_option(app, options.max_bad_fraction);
  add_machine_options(app, machine);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);
  check_user(options.resolution % 8 == 0, "--size ", options.resolution,
             ": expected a multiple of 8");
  check_user(encoder.empty() || fs::is_directory(encoder), "--text-encoder ", encoder.string(),
             ": no such folder");
  check_user(!output.empty(), "--output is empty; expected a folder");
  if (has_buckets) options.buckets = usual_buckets(options.resolution);
  bucket_sizes(options.buckets, options.resolution);  // throws where there are none
  for (const std::string& name : sets.names) find_shards(sets.data_root / name);
  options.vae = find_weights(vae, program_folder());
  std::string why;
  options.dtype = choose_compute_dtype(dtype, at::Device(machine.device), why);
  for (const std::string& name : sets.names) {
    options.source = sets.data_root / name;
    options.output = output / name;
    if (!fs::exists(options.output)) make_cache(options, at::Device(machine.device));
    if (!encoder.empty()) cache_text_states(options.output, encoder, at::Device(machine.device));
    print(options.output);
  }
  return 0;
}

}  // namespace i1
