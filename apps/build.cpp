// i1 data build: from raw pictures and captions to shards. i1 data merge: from shards to a set.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "apps/build.h"
#include "apps/commands.h"
#include "apps/options.h"
#include "i1/data/build.h"
#include "i1/data/caption_rows.h"
#include "i1/data/duplicates.h"
#include "i1/data/merge.h"
#include "i1/data/parquet_set.h"
#include "i1/data/record_builder.h"
#include "i1/data/tar_set.h"
#include "i1/tables/addresses.h"
#include "i1/text/tokenizer.h"

namespace i1 {

TarSet read_pictures(const std::filesystem::path& pictures, bool is_of_tars) {
  TarSet found;
  if (is_of_tars) {
    found = list_tars(find_tars(pictures));
  } else {
    found.pictures = list_folder(pictures);
  }
  mark_shared_keys(found.pictures);
  return found;
}

namespace {

namespace fs = std::filesystem;

constexpr int64_t kPicturesPerShard = 4096;

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

// A folder of pictures, or tar files or Parquet files of pictures and captions.
struct PictureBuild {
  ParquetSetOptions parquet;  // with addresses: Parquet files
  fs::path pictures, captions, output, tokenizer;
  std::vector<std::string> columns;
  std::vector<int> sizes = {256}, min_edges;
  std::string background, part = "0/1", format = "tfrecord", duplicates;
  fs::path hashes;
  int max_distance = DuplicateRule::kDefaultDistance;
  bool has_buckets = false;
  RecordBuildOptions options;
  int64_t count = -1, num_shards = 0;
};

void add_filter_options(CLI::App& app, PictureBuild& build) {
  RecordBuildOptions& options = build.options;
  auto* min_edge = app.add_option("--min-edge", build.min_edges,
                                  "leave out pictures whose shorter edge is below; one number, or "
                                  "one for each --size")
                       ->delimiter(',')
                       ->check(whole_number(1, 1'000'000));
  app.add_option("--max-aspect", options.max_aspect,
                 "leave out pictures whose longer edge is more than so many times the shorter one")
      ->check(real_number(1, 1e6));
  app.add_option("--max-pixels", options.max_pixels,
                 "leave out pictures of more pixels; like the other two it looks at a file's "
                 "header alone")
      ->check(whole_number<int64_t>(1));
  app.add_option("--shape-metadata", options.shape_metadata,
                 "JSON lines {image_name, short_edge}: --min-edge without opening every picture")
      ->needs(min_edge);
  auto* hashes = app.add_option("--hashes", build.hashes, "folder that i1 data hash wrote");
  auto* duplicates =
      app.add_option("--skip-duplicates", build.duplicates,
                     "of pictures that come again keep the first: exact (the same "
                     "file) or similar (also scaled, recompressed, cropped a little)")
          ->check(CLI::IsMember({"exact", "similar"}))
          ->needs(hashes);
  app.add_option("--max-distance", build.max_distance,
                 "bits of 64 by which the hashes of similar pictures may differ")
      ->check(whole_number(0, DuplicateRule::kLargestDistance))
      ->needs(duplicates)
      ->capture_default_str();
  app.add_option("--count", build.count, "a random sample of this many pictures")
      ->check(whole_number<int64_t>(0));
  app.add_option("--seed", options.seed, "of the sample")
      ->check(whole_number<uint64_t>(0))
      ->capture_default_str();
}

void add_picture_options(CLI::App& app, PictureBuild& build, MachineOptions& machine) {
  app.add_option("--captions", build.captions,
                 "table of captions by \"key\" (the picture's name without extension) or "
                 "\"file_name\": .json, .jsonl, .csv, .tsv or .parquet; default: those beside or "
                 "with the pictures");
  app.add_option(
         "--columns", build.columns,
         "caption columns; a picture without one is skipped; default: all that hold text, of "
         "Parquet files those that are named as captions")
      ->delimiter(',');
  app.add_option("--output", build.output,
                 "folder of the data set; with several --size: of their folders")
      ->required();
  app.add_option("--size", build.sizes,
                 "side of the pictures in pixels; 256,512: two sets, each picture decoded once")
      ->delimiter(',')
      ->check(whole_number(1, 16384))
      ->capture_default_str();
  app.add_flag("--buckets", build.has_buckets,
               "keep about the shape of pictures (see i1 data cache --buckets) instead of squares");
  app.add_option("--background", build.background,
                 "RRGGBB: the colour under what is transparent; default: alpha is dropped, as the "
                 "reference does, which shows whatever colour the file hides, often black");
  app.add_flag("--fast-decode", build.options.is_fast,
               "decode JPEGs at the smallest size that has enough pixels: 1.5 times as fast; "
               "pixels differ by 2 of 255 on average (not with --background)");
  app.add_option("--format", build.format,
                 "of the shards: tfrecord, which training and TFDS read, or webdataset (tar)")
      ->check(CLI::IsMember({"tfrecord", "webdataset"}))
      ->capture_default_str();
  app.add_option("--num-shards", build.num_shards,
                 "files of the whole set; default: one for 4,096 pictures")
      ->check(whole_number<int64_t>(1, 99'999));
  app.add_option("--shard", build.part,
                 "K/N: worker K of N writes its share of the files, in any order and on any "
                 "machine; then i1 data merge. What is there and whole is not written again")
      ->capture_default_str();
  add_filter_options(app, build);
  app.add_option("--tokenizer", build.tokenizer,
                 "folder: the report counts tokens of captions too");
  add_threads_option(app, machine);
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

std::vector<Resolution> resolutions_of(const PictureBuild& build) {
  const std::vector<int>& edges = build.min_edges;
  check_user(edges.size() <= 1 || edges.size() == build.sizes.size(),
             "--min-edge: expected one number, or as many as --size has (", build.sizes.size(),
             ")");
  std::vector<Resolution> resolutions;
  for (size_t i = 0; i < build.sizes.size(); ++i) {
    const int size = build.sizes[i];
    for (const Resolution& other : resolutions)
      check_user(other.size != size, "--size: ", size, " is there twice");
    resolutions.push_back({size, edges.empty() ? 0 : edges[edges.size() == 1 ? 0 : i],
                           build.has_buckets ? usual_buckets(size) : Buckets()});
  }
  return resolutions;
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
  mark_shared_keys(found.pictures);
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

void print(const fs::path& folder, int64_t num_records, size_t num_shards,
           const BadRecords& left_out) {
  std::printf("%s: %ld pictures in %zu shards\n", folder.c_str(), num_records, num_shards);
  for (const auto& [reason, count] : left_out.counts)
    std::printf("    left out %7ld  %s, the first: %s\n", count, reason.c_str(),
                left_out.first.at(reason).c_str());
}

// How many tokens a caption has; empty without a tokenizer.
std::function<int64_t(std::string_view)> token_counter(const fs::path& folder) {
  if (folder.empty()) return {};
  auto tokenizer = std::make_shared<const Tokenizer>(load_tokenizer(folder));
  return [tokenizer](std::string_view caption) {
    return static_cast<int64_t>(tokenizer->encode(caption).size());
  };
}

void print(const MergedSet& set) {
  int64_t num_records = 0;
  for (const ShardSidecar& shard : set.shards) num_records += shard.num_records;
  print(set.folder, num_records, set.shards.size(), left_out_of(set.shards));
  std::printf("%s: pictures, captions and what was left out, to look at\n",
              (set.folder / "report.html").c_str());
}

void skip_duplicates(PictureBuild& build, std::vector<SourcePicture>& pictures,
                     const CaptionTable& captions) {
  if (build.duplicates.empty()) return;
  RecordBuildOptions& options = build.options;
  const DuplicateRule rule{build.duplicates == "similar", build.max_distance};
  options.duplicates = rule.is_similar ? concat("similar, ", rule.max_distance) : build.duplicates;
  const std::vector<PictureHash> hashes = read_hashes(pictures, build.hashes);
  mark_duplicates(pictures, hashes, captions, options, rule);
}

void run_picture_build(PictureBuild& build, bool is_of_tars) {
  RecordBuildOptions& options = build.options;
  const WorkPart part = parse_work_part(build.part);
  const auto count_tokens = token_counter(build.tokenizer);
  options.resolutions = resolutions_of(build);
  options.background = parse_colour(build.background);
  if (build.format == "webdataset") options.format = ShardFormat::kWebDataset;
  if (build.count >= 0) options.target_count = build.count;
  TarSet found = build.parquet.addresses.empty() ? read_pictures(build.pictures, is_of_tars)
                                                 : read_parquet(build);
  const auto num_pictures = static_cast<int64_t>(found.pictures.size());
  options.num_shards = build.num_shards > 0
                           ? build.num_shards
                           : (num_pictures + kPicturesPerShard - 1) / kPicturesPerShard;
  options.shards = even_part(options.num_shards, part.index, part.count);
  const CaptionTable captions = read_captions(build, found, is_of_tars);
  skip_duplicates(build, found.pictures, captions);
  const std::vector<BuiltSet> sets =
      build_records(std::move(found.pictures), captions, options, build.output);
  for (const BuiltSet& set : sets) {
    if (set.num_found > 0)
      std::printf("%s: %ld shards were there already\n", set.folder.c_str(), set.num_found);
    if (part.count > 1) {
      print(set.folder, set.num_records(), set.shards.size(), set.left_out());
      continue;
    }
    const MergedSet merged = merge_sets({{set.folder}, {}, count_tokens});
    print(merged);
    check_user(set.num_records() > 0 || build.count == 0, build.pictures.string(),
               ": no picture of it could be used");
  }
  if (found.num_unclear > 0)
    std::printf("    left out %7ld  with two points in their name, the first: %s\n",
                found.num_unclear, found.first_unclear.c_str());
  if (part.count > 1)
    std::printf("once all %ld parts are done: i1 data merge %s\n", part.count,
                sets.front().folder.c_str());
}

}  // namespace

int run_data_build(int argc, char** argv) {
  CLI::App app("Makes a data set from raw pictures and captions.");
  app.require_subcommand(1);
  MachineOptions machine;
  NanoBuild nano_options;
  CLI::App& nano = *app.add_subcommand("nano", "the six sets of the bundled model");
  add_nano_options(nano, nano_options, machine);
  PictureBuild pictures;
  CLI::App& folder = *app.add_subcommand(
      "folder", "a folder of pictures; captions from a table, or cat.txt beside cat.jpg");
  folder.add_option("--pictures", pictures.pictures, "folder of pictures, read recursively")
      ->required();
  add_picture_options(folder, pictures, machine);
  CLI::App& tars = *app.add_subcommand(
      "webdataset", "tar files whose members 1.jpg, 1.txt, 1.json belong together");
  tars.add_option("--pictures", pictures.pictures, "a tar file, or a folder of .tar files")
      ->required();
  add_picture_options(tars, pictures, machine);
  CLI::App& parquet = *app.add_subcommand(
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
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);
  if (nano.parsed()) {
    for (const BuildReport& report : build_nano(nano_options)) print(report);
  } else {
    run_picture_build(pictures, tars.parsed());
  }
  return 0;
}

int run_data_merge(int argc, char** argv) {
  CLI::App app(
      "Completes a data set whose shards several workers wrote, or joins sets built with the same "
      "options: checks that every shard is there, whole and of one build and no picture is twice, "
      "then writes dataset_info.json, features.json and the report.");
  MergeOptions options;
  fs::path tokenizer;
  MachineOptions machine;
  app.add_option("FOLDERS", options.folders, "of shards: parts of one set, or whole sets")
      ->required();
  app.add_option("--output", options.output,
                 "new folder for all shards, linked or copied; default: the one folder itself");
  app.add_option("--tokenizer", tokenizer, "folder: the report counts tokens of captions too");
  add_threads_option(app, machine);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);
  options.count_tokens = token_counter(tokenizer);
  print(merge_sets(options));
  return 0;
}

}  // namespace i1
