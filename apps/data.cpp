// i1 data build, verify: from raw pictures and captions to training shards, and what shards hold.
#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/data/build.h"
#include "i1/data/caption_rows.h"
#include "i1/data/example.h"
#include "i1/data/nano_sheet.h"
#include "i1/data/parquet_set.h"
#include "i1/data/record_builder.h"
#include "i1/data/tar_set.h"
#include "i1/data/verify.h"
#include "i1/tables/addresses.h"

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

constexpr int64_t kPicturesPerShard = 4096;
constexpr int kSheetColumns = 10;

// A folder of pictures, or tar files or Parquet files of pictures and captions.
struct PictureBuild {
  ParquetSetOptions parquet;  // with addresses: Parquet files
  fs::path pictures, captions, output;
  std::vector<std::string> columns;
  std::string background;
  RecordBuildOptions options;
  std::vector<int64_t> shards;
  int64_t count = -1, num_shards = 0;
  bool has_buckets = false;
};

void add_picture_options(CLI::App& app, PictureBuild& build, MachineOptions& machine) {
  RecordBuildOptions& options = build.options;
  app.add_option("--captions", build.captions,
                 "table of captions by \"key\" (the picture's name without extension) or "
                 "\"file_name\": .json, .jsonl, .csv, .tsv or .parquet; default: those beside or "
                 "with the pictures");
  app.add_option(
         "--columns", build.columns,
         "caption columns; a picture without one is skipped; default: all that hold text, of "
         "Parquet files those that are named as captions")
      ->delimiter(',');
  app.add_option("--output", build.output, "folder of the data set")->required();
  app.add_option("--size", options.image_size, "side of the pictures in pixels")
      ->check(whole_number(1, 16384))
      ->capture_default_str();
  app.add_flag("--buckets", build.has_buckets,
               "keep about the shape of pictures (see i1 data cache --buckets) instead of squares");
  app.add_option("--num-shards", build.num_shards,
                 "files of the whole set; default: one for 4,096 pictures")
      ->check(whole_number<int64_t>(1, 100'000));
  app.add_option("--shards", build.shards,
                 "write only shards BEGIN,END (END not included): one part of a parallel run; the "
                 "last to finish writes dataset_info.json")
      ->delimiter(',')
      ->check(whole_number<int64_t>(0))
      ->needs("--num-shards")
      ->expected(2);
  app.add_flag("--skip-small", options.filter_shorter_edge,
               "leave out pictures whose shorter edge is below --size");
  app.add_option("--shape-metadata", options.shape_metadata,
                 "JSON lines {image_name, short_edge}: --skip-small without opening every picture")
      ->needs("--skip-small");
  app.add_option("--background", build.background,
                 "RRGGBB: the colour under what is transparent; default: alpha is dropped, as the "
                 "reference does, which shows whatever colour the file hides, often black");
  app.add_flag("--fast-decode", options.is_fast,
               "decode JPEGs at the smallest size that has enough pixels: 1.5 times as fast; "
               "pixels differ by 2 of 255 on average (not with --background)");
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

std::optional<std::array<uint8_t, 3>> parse_colour(const std::string& text) {
  if (text.empty()) return std::nullopt;
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value, 16);
  check_user(text.size() == 6 && read.ec == std::errc() && read.ptr == end, "--background ", text,
             ": expected RRGGBB in hexadecimal digits, ffffff for white");
  return std::array{static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
                    static_cast<uint8_t>(value)};
}

std::vector<std::string> tell_captions(std::vector<std::string> columns) {
  std::string names;
  for (const std::string& column : columns) names += (names.empty() ? "" : ", ") + column;
  std::fprintf(stderr, "captions from: %s (--columns chooses)\n", names.c_str());
  return columns;
}

TarSet read_parquet(PictureBuild& build) {
  ParquetSetOptions& options = build.parquet;
  build.pictures = shown_address(options.addresses.front());
  options.captions = build.columns;
  options.read_captions = build.captions.empty();
  ParquetSet set = list_parquet(options);
  check_user(set.has_key_column || options.read_captions, build.pictures.string(),
             ": no column image_id, __key__, id or global_id; name that of the table's keys with "
             "--key");
  if (options.read_captions && build.columns.empty()) build.columns = tell_captions(set.columns);
  TarSet found;
  found.pictures = std::move(set.pictures);
  found.captions = std::move(set.captions);
  return found;
}

TarSet read_pictures(PictureBuild& build, bool is_of_tars) {
  if (!build.parquet.addresses.empty()) return read_parquet(build);
  if (is_of_tars) return list_tars(find_tars(build.pictures));
  TarSet found;
  found.pictures = list_folder(build.pictures);
  return found;
}

CaptionTable read_captions(PictureBuild& build, const TarSet& found, bool is_of_tars) {
  const bool is_table = !build.captions.empty();
  const fs::path& where = is_table ? build.captions : build.pictures;
  const bool is_inside = is_of_tars || !build.parquet.addresses.empty();
  const std::vector<TableRow> rows = is_table    ? read_caption_rows(build.captions)
                                     : is_inside ? found.captions
                                                 : captions_beside(found.pictures);
  if (build.columns.empty()) build.columns = tell_captions(text_columns(rows));
  check_user(
      !build.columns.empty(), where.string(), ": no column that holds text alone; ",
      is_of_tars && !is_table ? "expected members .txt or .json" : "name some with --columns");
  return {rows, build.columns, where.string()};
}

void run_picture_build(PictureBuild& build, bool is_of_tars) {
  if (!build.shards.empty()) build.options.shards = Span{build.shards[0], build.shards[1]};
  if (build.count >= 0) build.options.target_count = build.count;
  build.options.background = parse_colour(build.background);
  if (build.has_buckets) build.options.buckets = usual_buckets(build.options.image_size);
  TarSet found = read_pictures(build, is_of_tars);
  const auto num_pictures = static_cast<int64_t>(found.pictures.size());
  build.options.num_shards = build.num_shards > 0
                                 ? build.num_shards
                                 : (num_pictures + kPicturesPerShard - 1) / kPicturesPerShard;
  const CaptionTable captions = read_captions(build, found, is_of_tars);
  const RecordBuildReport report =
      build_records(std::move(found.pictures), captions, build.options, build.output);
  const ShardReport total = report.total();
  std::printf("%s: %ld pictures in %zu shards\n", build.output.c_str(), total.written,
              report.shards.size());
  for (const auto& [count, reason, first] :
       {std::tuple{report.skipped_without_metadata, "not in the shape metadata", std::string()},
        {total.missing, "without a caption", total.first_missing},
        {total.filtered, "too small", total.first_filtered},
        {total.decode_errors, "not decoded", total.first_decode_error}}) {
    if (count == 0) continue;
    std::printf("    left out %7ld  %s%s%s\n", count, reason,
                first.empty() ? "" : ", the first: ", first.c_str());
  }
  check_user(total.written > 0 || build.count == 0 || !build.shards.empty(),
             build.pictures.string(), ": no picture of it could be used");
  if (found.num_unclear > 0) {
    std::printf("    left out %7ld  with two points in their name, the first: %s\n",
                found.num_unclear, found.first_unclear.c_str());
  }
  if (!report.sheet.empty() && build.shards.empty()) {
    write_png(build.output / "sheet.png", make_sheet(report.sheet, kSheetColumns));
    std::printf("%s: %zu of them to look at\n", (build.output / "sheet.png").c_str(),
                report.sheet.size());
  }
  if (has_all_shards(build.output, build.options.num_shards))
    complete_dataset(build.output, build.has_buckets ? 0 : build.options.image_size,
                     DatasetInfo().description);
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
  if (argc > 1 && std::string_view(argv[1]) == "caption")
    return run_data_caption(argc - 1, argv + 1);
  if (argc > 1 && std::string_view(argv[1]) == "fetch") return run_data_fetch(argc - 1, argv + 1);
  if (argc > 1 && std::string_view(argv[1]) == "tokenizer")
    return run_data_tokenizer(argc - 1, argv + 1);
  CLI::App app(
      "Training data: from pictures and captions (caption) to shards (build, verify), from "
      "shards to what training reads (tokenizer, cache).");
  app.require_subcommand(1);
  app.add_subcommand("caption", "describe pictures by a vision model");
  app.add_subcommand("tokenizer",
                     "learn a tokenizer from captions");  // each has a parser of its own
  app.add_subcommand("cache", "encode pictures and captions once");
  app.add_subcommand("fetch", "fetch the pictures of a list of addresses");
  MachineOptions machine;
  CLI::App& build = *app.add_subcommand("build", "make a data set from raw pictures");
  build.require_subcommand(1);
  NanoBuild nano_options;
  CLI::App& nano = *build.add_subcommand("nano", "the six sets of the bundled model");
  add_nano_options(nano, nano_options, machine);
  PictureBuild pictures;
  CLI::App& folder = *build.add_subcommand(
      "folder", "a folder of pictures; captions from a table, or cat.txt beside cat.jpg");
  folder.add_option("--pictures", pictures.pictures, "folder of pictures, read recursively")
      ->required();
  add_picture_options(folder, pictures, machine);
  CLI::App& tars = *build.add_subcommand(
      "webdataset", "tar files whose members 1.jpg, 1.txt, 1.json belong together");
  tars.add_option("--pictures", pictures.pictures, "a tar file, or a folder of .tar files")
      ->required();
  add_picture_options(tars, pictures, machine);
  CLI::App& parquet = *build.add_subcommand(
      "parquet", "Parquet files, the form of most public sets: a picture and captions in each row");
  parquet
      .add_option("--pictures", pictures.parquet.addresses,
                  "files or folders of .parquet files: local, http(s)://, s3:// or gs://")
      ->required();
  parquet.add_option("--picture", pictures.parquet.picture,
                     "column of the pictures: bytes, {bytes, path}, paths or addresses; inside "
                     "another: outer.inner; default: image, else jpg, webp, output or png");
  parquet.add_option("--key", pictures.parquet.key,
                     "column that names them; default: image_id, __key__, id or global_id, else "
                     "FILE_ROW");
  add_picture_options(parquet, pictures, machine);
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
  } else if (folder.parsed() || tars.parsed() || parquet.parsed()) {
    run_picture_build(pictures, tars.parsed());
  } else {
    for (const fs::path& set : sets) is_good = print(set, verify_records(set)) && is_good;
  }
  return is_good ? 0 : 1;
}

}  // namespace i1
