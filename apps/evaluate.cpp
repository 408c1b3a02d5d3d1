// i1 evaluate nano: prompt set -> pictures -> scores -> report.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/commands.h"
#include "apps/model_options.h"
#include "apps/options.h"
#include "i1/core/compute_dtype.h"
#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/core/progress.h"
#include "i1/data/nano_sheet.h"
#include "i1/data/transform.h"
#include "i1/eval/nano_benchmark.h"
#include "i1/eval/nano_free_prompts.h"
#include "i1/pipeline.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int kSheetColumns = 12, kFreeColumns = 8, kSheetPicture = 128;

nlohmann::ordered_json to_json(const RetrievalScore& score) {
  return {{"captions", score.num_queries},
          {"top1", score.top1},
          {"top5", score.top5},
          {"chance_top1", score.chance_top1},
          {"chance_top5", score.chance_top5},
          {"mean_distance_to_truth", score.mean_distance_to_truth}};
}

void write_sheet(const fs::path& path, std::vector<std::pair<Image, std::string>> pictures,
                 int num_columns) {
  for (auto& [image, caption] : pictures)
    image = resize_bilinear(image, kSheetPicture, kSheetPicture);
  write_png(path, make_sheet(pictures, num_columns));
  std::printf("%s\n", path.c_str());
}

}  // namespace

int run_evaluate(int argc, char** argv) {
  CLI::App app("Scores a model on a benchmark.");
  std::string benchmark, dtype = "auto";
  fs::path data_root, output;
  Request request;
  size_t num_captions = 200;
  int64_t batch_size = 32;
  MachineOptions machine;
  app.add_option("BENCHMARK", benchmark, "nano: retrieval among the true pictures of a style")
      ->required()
      ->check(CLI::IsMember({"nano"}));
  app.add_option("--data-root", data_root, "folder that i1 data build nano wrote")->required();
  app.add_option("--output", output, "folder for scores.json, sheet.png and free.png")->required();
  add_model_options(app, request);
  app.add_option("--num-captions", num_captions, "of each group")
      ->check(whole_number<int64_t>(1, 100'000))
      ->capture_default_str();
  app.add_option("--steps", request.num_steps, "sampler steps; default: the model's own")
      ->check(whole_number<int64_t>(1, kMaxSteps));
  app.add_option("--cfg-scale", request.guidance_scale, "guidance")
      ->check(real_number(-kMaxGuidance, kMaxGuidance))
      ->default_val(4);
  app.add_option("--seed", request.seed, "of the noise")
      ->check(whole_number<uint64_t>(0))
      ->capture_default_str();
  app.add_option("--dtype", dtype, "float32, bfloat16, int8 (blocks), auto")->capture_default_str();
  app.add_option("--batch-size", batch_size, "pictures sampled at once")
      ->check(whole_number<int64_t>(1, 10'000))
      ->capture_default_str();
  add_machine_options(app, machine);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);

  const at::Device device(machine.device);
  std::string why;
  const Precision precision = choose_precision(dtype, device, why);
  const Pipeline pipeline(load_model(request, device, precision), device, precision);
  const std::vector<TruthEntry> truth = read_truth(data_root / "truth_emoji");
  make_folder(output);
  const DrawFunction draw = [&](const std::vector<std::string>& prompts) {
    std::vector<Request> requests;
    for (const std::string& prompt : prompts) {
      requests.push_back(pipeline.complete(request));
      requests.back().prompt = prompt;
      requests.back().prompt_index = static_cast<int64_t>(requests.size()) - 1;
    }
    Progress progress("drawing " + std::to_string(prompts.size()) + " prompts",
                      (static_cast<int64_t>(prompts.size()) + batch_size - 1) / batch_size *
                          requests.front().num_steps,
                      "steps");
    return pipeline.generate(requests, batch_size,
                             [&](int64_t done, int64_t) { progress.update(done); });
  };
  const NanoScores scores = run_nano_benchmark(truth, num_captions, draw);
  const std::vector<Image> free = draw(nano_free_prompts());

  nlohmann::ordered_json report;
  std::printf("%-16s %8s %8s %8s %14s %14s\n", "group", "captions", "top-1", "top-5",
              "chance top-1", "chance top-5");
  for (const char* name : {"seen", "held-out style", "held-out grid"}) {
    const auto found = scores.groups.find(name);
    if (found == scores.groups.end()) continue;  // the set has none
    const RetrievalScore& score = found->second;
    report[name] = to_json(score);
    std::printf("%-16s %8ld %7.1f%% %7.1f%% %13.2f%% %13.2f%%\n", name,
                static_cast<long>(score.num_queries), 100 * score.top1, 100 * score.top5,
                100 * score.chance_top1, 100 * score.chance_top5);
  }
  write_file_atomically(output / "scores.json", report.dump(1) + "\n");
  write_sheet(output / "sheet.png", scores.sheet, kSheetColumns);
  std::vector<std::pair<Image, std::string>> free_sheet;
  for (size_t i = 0; i < free.size(); ++i) free_sheet.emplace_back(free[i], nano_free_prompts()[i]);
  write_sheet(output / "free.png", free_sheet, kFreeColumns);
  return 0;
}

}  // namespace i1
