// i1 generate PROMPT...: prompts to PNG. Parses, calls the pipeline, writes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/model_options.h"
#include "apps/options.h"
#include "i1/core/compute_dtype.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/memory.h"
#include "i1/core/progress.h"
#include "i1/pipeline.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxPictures = 10'000, kMaxIndex = 1'000'000'000;

struct Options {
  std::vector<std::string> prompts;
  std::string prompt_file, size, aspect;
  std::optional<ImageSize> shape;  // of --aspect
  Request request;
  int64_t num_images = 1, batch_size = 4;
  std::string dtype = "auto";
  fs::path output = "out.png";
  MachineOptions machine;
};

void add_options(CLI::App& app, Options& options) {
  Request& request = options.request;
  app.add_option("PROMPT", options.prompts, "what to draw; several prompts make several pictures");
  app.add_option("--prompt-file", options.prompt_file,
                 "a file with a prompt a line; - reads standard input");
  add_model_options(app, request);
  app.add_option("--size", options.size, "WIDTHxHEIGHT in pixels; default: the model's own");
  app.add_option("--aspect", options.aspect,
                 "WIDTH:HEIGHT such as 3:2: the nearest size at the model's number of pixels, of "
                 "those it was trained on where there are several")
      ->excludes("--size");
  app.add_option("--num-images", options.num_images, "pictures a prompt")
      ->check(whole_number<int64_t>(1, kMaxPictures))
      ->capture_default_str();
  app.add_option("--seed", request.seed, "same seed, same picture")
      ->check(whole_number<uint64_t>(0))
      ->capture_default_str();
  app.add_option("--steps", request.num_steps, "sampler steps; default: the model's own")
      ->check(whole_number<int64_t>(1, kMaxSteps));
  app.add_option("--cfg-scale", request.guidance_scale, "guidance; default: the model's own")
      ->check(real_number(-kMaxGuidance, kMaxGuidance));
  app.add_option("--cfg-rescale", request.guidance_rescale, "0 to 1; default: the model's own")
      ->check(real_number(0, 1));
  app.add_option("--guidance-start", request.guidance_start, "guide only for t >= this")
      ->check(real_number(0, 1))
      ->capture_default_str();
  app.add_option("--schedule", request.schedule, "shifted or uniform; default: the model's own");
  app.add_option("--shift", request.timestep_shift,
                 "of the shifted schedule; default: the model's own")
      ->check(real_number(0, kMaxShift));
  app.add_option("--negative-prompt", request.negative_prompt, "what guidance leads away from");
  app.add_option("--dtype", options.dtype, "float32, bfloat16, int8 (blocks), auto")
      ->capture_default_str();
  app.add_option("--decode-rows", options.request.decode_rows,
                 "rows of the picture decoded at a time, 0 for all; default: all, or 32 where "
                 "that takes over 1.3 GB; moves pixels by rounding errors")
      ->check(whole_number<int64_t>(0, kMaxSide));
  app.add_option("--batch-size", options.batch_size,
                 "pictures sampled at once; changes none of them")
      ->check(whole_number<int64_t>(1, kMaxPictures))
      ->capture_default_str();
  app.add_option("--first-prompt", request.prompt_index,
                 "number of the first prompt, for its noise")
      ->check(whole_number<int64_t>(0, kMaxIndex))
      ->capture_default_str();
  app.add_option("--first-image", request.image_index, "number of the first picture of each prompt")
      ->check(whole_number<int64_t>(0, kMaxIndex))
      ->capture_default_str();
  app.add_option("--output", options.output, "a PNG, or a folder for several pictures")
      ->capture_default_str();
  add_machine_options(app, options.machine);
}

std::vector<std::string> read_prompts(const Options& options) {
  std::vector<std::string> prompts = options.prompts;
  if (options.prompt_file.empty()) {
    check_user(!prompts.empty(), "no prompt: i1 generate \"a red apple\", or --prompt-file FILE");
    return prompts;
  }
  std::istringstream lines(options.prompt_file == "-"
                               ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                               : read_file(options.prompt_file));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) prompts.push_back(line);
  }
  check_user(!prompts.empty(), options.prompt_file, ": no prompt in it");
  return prompts;
}

// "WIDTH", a sign, "HEIGHT"; nothing where it is anything else.
std::optional<ImageSize> parse_sides(const std::string& text, char sign) {
  ImageSize size;
  const char* end = text.data() + text.size();
  const auto wide = std::from_chars(text.data(), end, size.width);
  const bool has_height = wide.ec == std::errc() && wide.ptr != end && *wide.ptr == sign;
  const auto high = std::from_chars(has_height ? wide.ptr + 1 : end, end, size.height);
  const bool is_whole = has_height && high.ec == std::errc() && high.ptr == end;
  return is_whole && size.width > 0 && size.height > 0 ? std::optional(size) : std::nullopt;
}

void parse_size(Options& options) {
  if (!options.size.empty()) {
    const auto size = parse_sides(options.size, 'x');
    check_user(size.has_value(), "--size ", options.size,
               ": expected WIDTHxHEIGHT in pixels, such as 128x128");
    options.request.width = size->width;
    options.request.height = size->height;
  }
  if (options.aspect.empty()) return;
  options.shape = parse_sides(options.aspect, ':');
  check_user(options.shape.has_value(), "--aspect ", options.aspect,
             ": expected WIDTH:HEIGHT, such as 3:2");
}

// The bucket for --aspect. The shapes of a model trained on squares are those that buckets would
// have; how good they are is for the eye.
void choose_bucket(const ImageSize& shape, const BundleConfig& config, Request& request) {
  const int64_t resolution = config.model.resolution;
  const Buckets buckets = config.buckets.unit > 0 ? config.buckets : usual_buckets(resolution);
  const std::vector<ImageSize> sizes = bucket_sizes(buckets, resolution);
  const ImageSize& size =
      sizes[static_cast<size_t>(nearest_bucket(sizes, shape.width, shape.height))];
  request.width = size.width;
  request.height = size.height;
}

// Flags that were not given take the model's own values.
void fill_in(const CLI::App& app, const BundleConfig& config, Request& request) {
  const auto is_open = [&](const char* flag) { return app.get_option(flag)->count() == 0; };
  if (is_open("--cfg-scale")) request.guidance_scale = config.guidance_scale;
  if (is_open("--cfg-rescale")) request.guidance_rescale = config.guidance_rescale;
  if (is_open("--schedule")) request.schedule = config.schedule;
  if (is_open("--shift")) request.timestep_shift = config.timestep_shift;
}

fs::path file_for(const Options& options, const Request& request, bool is_in_folder) {
  if (!is_in_folder) return options.output;
  char name[64];
  std::snprintf(name, sizeof name, "%05ld_%02ld.png", static_cast<long>(request.prompt_index),
                static_cast<long>(request.image_index));
  return options.output / name;
}

}  // namespace

int run_generate(int argc, char** argv) {
  CLI::App app(
      "Draws what a prompt says. Every picture carries its request: i1 inspect out.png prints it.");
  Options options;
  add_options(app, options);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(options.machine);
  parse_size(options);
  const std::vector<std::string> prompts = read_prompts(options);
  check_user(!options.output.empty(), "--output is empty; expected a PNG or a folder");
  const bool is_single = prompts.size() == 1 && options.num_images == 1;
  const bool is_in_folder =
      !is_single || !options.output.has_filename() || fs::is_directory(options.output);
  if (!is_single) {
    check_user(!fs::is_regular_file(options.output) && options.output.extension() != ".png",
               "--output ", options.output.string(), ": several pictures need a folder");
  }

  const at::Device device(options.machine.device);
  std::string why;
  const Precision precision = choose_precision(options.dtype, device, why);
  const Pipeline pipeline(load_model(options.request, device, precision), device, precision);
  fill_in(app, pipeline.config(), options.request);
  if (options.shape) choose_bucket(*options.shape, pipeline.config(), options.request);
  std::vector<Request> requests;
  for (size_t p = 0; p < prompts.size(); ++p) {
    for (int64_t i = 0; i < options.num_images; ++i) {
      Request request = pipeline.complete(options.request);
      request.prompt = prompts[p];
      request.prompt_index += static_cast<int64_t>(p);
      request.image_index += i;
      requests.push_back(std::move(request));
    }
  }
  const Request& first = requests.front();
  const MemoryPlan plan =
      pipeline.plan(first, std::min<int64_t>(options.batch_size, requests.size()));
  if (device.is_cpu()) check_fits(plan, available_memory());
  if (is_in_folder) make_folder(options.output);
  AtomicFile(file_for(options, first, is_in_folder));  // before the work, not after it
  std::fprintf(stderr,
               "%s, %ldx%ld, %ld steps (%s), guidance %g, rescale %g, seed %lu, %s (%s), %s\n",
               pipeline.config().name.c_str(), first.width, first.height, first.num_steps,
               first.schedule.c_str(), first.guidance_scale, first.guidance_rescale, first.seed,
               first.compute_dtype.c_str(), why.c_str(), options.machine.device.c_str());
  if (plan.is_large()) std::fprintf(stderr, "%s\n", plan.text(available_memory()).c_str());
  Progress progress(
      "sampling",
      static_cast<int64_t>((requests.size() + options.batch_size - 1) / options.batch_size) *
          first.num_steps,
      "steps");
  pipeline.generate(
      requests, options.batch_size,
      [&](size_t index, const Image& image) {  // written as they are done
        const fs::path file = file_for(options, requests[index], is_in_folder);
        write_png(file, image, {{kRequestKey, request_to_text(requests[index])}});
        std::printf("%s\n", file.c_str());
        std::fflush(stdout);
      },
      [&](int64_t done, int64_t) { progress.update(done); });
  return 0;
}

}  // namespace i1
