// i1 data build, verify: from raw pictures and captions to training shards, and what shards hold.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/data/build.h"
#include "i1/data/example.h"
#include "i1/data/record_builder.h"
#include "i1/data/verify.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

void print(const BuildReport& report) {
  std::printf("%-16s %7ld pictures  %8.1f MB\n", report.set.c_str(), report.num_pictures,
              static_cast<double>(report.num_bytes) / 1e6);
  for (const auto& [reason, count] : report.left_out)
    std::printf("    left out %7ld  %s\n", count, reason.c_str());
}

void add_nano_options(CLI::App& app, NanoBuild& options, MachineOptions& machine) {
  app.add_option("--output", options.output, "folder for the sets, one folder each")->required();
  app.add_option("--sources", options.sources,
                 "folder with the unpacked packages (tools/fetch_nano_data.sh fills it)")
      ->required();
  app.add_option("--size", options.size, "side of the pictures in pixels")
      ->check(whole_number(32, 512))
      ->capture_default_str();
  app.add_option("--sets", options.sets,
                 "emoji, clipart, stamps, shapes, scenes, text; all if absent")
      ->delimiter(',');
  add_threads_option(app, machine);
}

struct FolderBuild {
  fs::path pictures, captions, output;
  std::vector<std::string> columns;
  RecordBuildOptions options;
  std::vector<int64_t> shards;
  int64_t count = -1;
};

void add_folder_options(CLI::App& app, FolderBuild& build, MachineOptions& machine) {
  RecordBuildOptions& options = build.options;
  app.add_option("--pictures", build.pictures, "folder of pictures, read recursively")->required();
  app.add_option("--captions", build.captions,
                 "JSON list of {\"key\": FILE NAME WITHOUT EXTENSION, COLUMN: CAPTION, ...}")
      ->required();
  app.add_option("--columns", build.columns, "caption columns; a picture without one is skipped")
      ->required()
      ->delimiter(',');
  app.add_option("--output", build.output, "folder of the data set")->required();
  app.add_option("--size", options.image_size, "side of the pictures in pixels")
      ->check(whole_number(1, 16384))
      ->capture_default_str();
  app.add_option("--num-shards", options.num_shards, "files of the whole set")
      ->check(whole_number<int64_t>(1, 100'000))
      ->capture_default_str();
  app.add_option("--shards", build.shards,
                 "write only shards BEGIN,END (END not included): one part of a parallel run; the "
                 "last to finish writes dataset_info.json")
      ->delimiter(',')
      ->check(whole_number<int64_t>(0))
      ->expected(2);
  app.add_flag("--skip-small", options.filter_shorter_edge,
               "leave out pictures whose shorter edge is below --size");
  app.add_option("--shape-metadata", options.shape_metadata,
                 "JSON lines {image_name, short_edge}: --skip-small without opening every picture")
      ->needs("--skip-small");
  app.add_option("--count", build.count, "a random sample of this many pictures")
      ->check(whole_number<int64_t>(0));
  app.add_option("--seed", options.seed, "of the sample")
      ->check(whole_number<uint64_t>(0))
      ->capture_default_str();
  add_threads_option(app, machine);
}

bool has_all_shards(const fs::path& folder, int64_t num_shards) {
  for (int64_t shard = 0; shard < num_shards; ++shard)
    if (!fs::exists(folder / shard_name(shard, num_shards))) return false;
  return true;
}

void run_folder_build(FolderBuild& build) {
  if (!build.shards.empty()) build.options.shards = Span{build.shards[0], build.shards[1]};
  if (build.count >= 0) build.options.target_count = build.count;
  const CaptionTable captions(read_json_table(build.captions), build.columns,
                              build.captions.string());
  const RecordBuildReport report =
      build_records(list_folder(build.pictures), captions, build.options, build.output);
  const ShardReport total = report.total();
  std::printf("%s: %ld pictures in %zu shards\n", build.output.c_str(), total.written,
              report.shards.size());
  for (const auto& [count, reason] :
       {std::pair{report.skipped_without_metadata, "not in the shape metadata"},
        {total.missing, "without a caption"},
        {total.filtered, "too small"},
        {total.decode_errors, "not decoded"}})
    if (count > 0) std::printf("    left out %7ld  %s\n", count, reason);
  check_user(total.written > 0 || build.count == 0 || !build.shards.empty(),
             build.pictures.string(), ": no picture of this folder could be used");
  if (has_all_shards(build.output, build.options.num_shards))
    complete_dataset(build.output, build.options.image_size, DatasetInfo().description);
}

// Returns whether nothing is wrong.
bool print(const fs::path& folder, const VerifyReport& report) {
  std::printf("%s: %ld records in %ld shards, %ld captions, %.1f MB\n", folder.c_str(),
              report.num_records, report.num_shards, report.num_captions,
              static_cast<double>(report.num_payload_bytes) / 1e6);
  if (!report.metadata_fault.empty()) std::printf("%s\n", report.metadata_fault.c_str());
  std::fputs(report.bad.report().c_str(), stdout);
  std::fflush(stdout);
  return report.metadata_fault.empty() && report.bad.total() == 0;
}

}  // namespace

int run_data(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "cache") return run_data_cache(argc - 1, argv + 1);
  if (argc > 1 && std::string_view(argv[1]) == "tokenizer")
    return run_data_tokenizer(argc - 1, argv + 1);
  CLI::App app(
      "Training data: from pictures and captions to shards (build, verify), from shards to what "
      "training reads (tokenizer, cache).");
  app.require_subcommand(1);
  app.add_subcommand("tokenizer", "learn a tokenizer from captions");  // both have a parser each
  app.add_subcommand("cache", "encode pictures and captions once");
  MachineOptions machine;
  CLI::App& build = *app.add_subcommand("build", "make a data set from raw pictures");
  build.require_subcommand(1);
  NanoBuild nano_options;
  CLI::App& nano = *build.add_subcommand("nano", "the six sets of the bundled model");
  add_nano_options(nano, nano_options, machine);
  FolderBuild folder_options;
  CLI::App& folder =
      *build.add_subcommand("folder", "a folder of pictures and a table of captions");
  add_folder_options(folder, folder_options, machine);
  std::vector<fs::path> sets;
  CLI::App& verify = *app.add_subcommand(
      "verify",
      "read every record of some sets and count what is wrong; exit status 1 if anything");
  verify.add_option("FOLDERS", sets, "data sets")->required();
  add_threads_option(verify, machine);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);
  bool is_good = true;
  if (nano.parsed()) {
    for (const BuildReport& report : build_nano(nano_options)) print(report);
  } else if (folder.parsed()) {
    run_folder_build(folder_options);
  } else {
    for (const fs::path& set : sets) is_good = print(set, verify_records(set)) && is_good;
  }
  return is_good ? 0 : 1;
}

}  // namespace i1
