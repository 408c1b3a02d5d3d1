// i1 convert SOURCE TARGET: weights of a backbone or of a text encoder in another format or type.
// Parses, calls, reports.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/core/memory.h"
#include "i1/model/convert.h"
#include "i1/model/convert_check.h"
#include "i1/text/convert.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path source, target;
  ConvertOptions convert;
  std::string side = "ema", max_shard_size;
  bool is_checked = false;
  MachineOptions machine;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("SOURCE", options.source,
                 "weights of a backbone: .pt, .npz, safetensors (file, index, folder), a bundled "
                 "model's folder, GGUF; or a T5Gemma folder, of which the encoder is kept")
      ->required();
  app.add_option("TARGET", options.target,
                 "NAME.safetensors, NAME.gguf, or a folder for safetensors in shards")
      ->required();
  app.add_option("--dtype", options.convert.dtype,
                 "float32, bfloat16, int8 (safetensors), q8_0, q4_0 (GGUF); default: as stored, "
                 "int8 and blocks as float32");
  app.add_option("--format", options.convert.format,
                 "safetensors or gguf; default: by the target's name");
  app.add_option("--side", options.side, "of a training checkpoint: ema or raw")
      ->capture_default_str();
  app.add_option("--max-shard-size", options.max_shard_size,
                 "of a folder: bytes, or with KB, MB or GB; default: 5GB");
  app.add_flag("--check", options.is_checked,
               "read the target again and print how far it is from the source");
  add_threads_option(app, options.machine);
}

// "5GB", "500MB", "1000000": bytes; units are powers of 1000.
int64_t parse_size(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  const std::string unit(read.ptr, end);
  int64_t factor = 0;
  for (const auto& [name, bytes] :
       {std::pair("", 1L), {"KB", 1'000L}, {"MB", 1'000'000L}, {"GB", 1'000'000'000L}})
    if (unit == name) factor = bytes;
  constexpr int64_t kMost = 1'000'000'000'000'000;
  check_user(read.ec == std::errc() && factor > 0 && number > 0 && number <= kMost / factor,
             "--max-shard-size ", text, ": expected a size such as 5GB, 500MB or 1000000");
  return number * factor;
}

WeightsSide parse_side(const std::string& name) {
  check_user(name == "ema" || name == "raw", "--side ", name, ": expected ema or raw");
  return name == "raw" ? WeightsSide::kRaw : WeightsSide::kEma;
}

void print_error(const WeightError& error, const char* name) {
  std::printf("%-56s %12.3g %12.3g\n", name, error.largest, error.relative);
}

void print_check(const OpenBackbone& source, const OpenBackbone& target) {
  constexpr size_t kMostShown = 10;
  const std::vector<WeightError> errors = compare_weights(source, target);
  WeightError total;
  for (const WeightError& error : errors) {
    total.largest = std::max(total.largest, error.largest);
    total.squared_error += error.squared_error;
    total.squared_value += error.squared_value;
  }
  if (total.squared_error > 0)
    total.relative = std::sqrt(total.squared_error / total.squared_value);
  std::printf("%-56s %12s %12s\n", "weights, worst first", "largest", "relative");
  for (size_t i = 0; i < std::min(errors.size(), kMostShown) && errors[i].largest > 0; ++i)
    print_error(errors[i], errors[i].key.c_str());
  print_error(total, concat("all ", errors.size(), " tensors").c_str());
  if (const auto forward = compare_forward(source, target)) {
    std::printf("%-56s %12.3g %12.3g\n", "velocity of fixed noise, float32", forward->largest,
                forward->relative);
  } else {
    std::printf("velocity: left out, a model takes %.1f GB in float32 and %.1f GB are free\n",
                static_cast<double>(float32_bytes(source)) / 1e9,
                static_cast<double>(available_memory()) / 1e9);
  }
}

template <class Plan>
void write_and_report(const Plan& plan, const char* what) {
  write_converted(plan);
  std::printf("%s: %s, %zu tensors, %.1f MB\n", plan.target.c_str(), what, plan.tensors.size(),
              static_cast<double>(plan.num_bytes) / 1e6);
}

void convert_text_encoder(const Options& options) {
  const ConvertOptions& convert = options.convert;
  check_user(convert.format.empty() || convert.format == "safetensors", "--format ", convert.format,
             ": ", options.source.string(),
             " is a T5Gemma text encoder, which is written as a folder of safetensors");
  check_user(!options.is_checked && options.side == "ema", options.source.string(),
             ": is a T5Gemma text encoder; --check and --side are for backbones");
  write_and_report(
      plan_convert_t5gemma(options.source, options.target, convert.dtype, convert.max_shard_bytes),
      "T5Gemma text encoder");
}

}  // namespace

int run_convert(int argc, char** argv) {
  CLI::App app(
      "Writes weights of a backbone or of a text encoder in another format or type, a tensor at a "
      "time.");
  Options options;
  add_options(app, options);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(options.machine);
  if (!options.max_shard_size.empty())
    options.convert.max_shard_bytes = parse_size(options.max_shard_size);
  if (holds_t5gemma(options.source)) {
    convert_text_encoder(options);
    return 0;
  }
  OpenBackbone source = open_backbone(options.source, parse_side(options.side));
  const ConvertPlan plan = plan_convert(source, options.source, options.target, options.convert);
  write_and_report(plan, "i1 backbone");
  if (options.is_checked) {
    std::fflush(stdout);
    source.tensors = with_tables(source);
    print_check(source, open_backbone(plan.target));
  }
  return 0;
}

}  // namespace i1
