#include <numeric>

#include "i1/check/data_cases.h"
#include "i1/core/digest.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/caption_rows.h"
#include "i1/data/example.h"
#include "i1/data/picture_sample.h"
#include "i1/data/record_builder.h"
#include "i1/data/yfcc.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kTableSize = 32;

json counts_of(const std::vector<ShardSidecar>& shards) {
  json counts = {{"written", 0}, {"missing", 0}, {"decode_errors", 0}, {"filtered", 0}};
  const auto add = [&](const char* name, int64_t number) {
    counts[name] = counts[name].get<int64_t>() + number;
  };
  for (const ShardSidecar& shard : shards) {
    add("written", shard.num_records);
    for (const auto& [name, reason] : {std::pair{"missing", kWithoutCaption},
                                       {"decode_errors", kNotDecoded},
                                       {"filtered", kTooSmall}}) {
      const auto found = shard.left_out.counts.find(reason);
      if (found != shard.left_out.counts.end()) add(name, found->second);
    }
  }
  return counts;
}

// Of those that metadata decides on: kept, and without an entry.
std::pair<int64_t, int64_t> by_metadata(std::vector<SourcePicture> pictures,
                                        RecordBuildOptions options) {
  if (options.shape_metadata.empty() || options.resolutions[0].min_edge == 0) return {0, 0};
  options.target_count.reset();
  BadRecords left_out;
  const auto num_kept = select_pictures(std::move(pictures), options, left_out).size();
  return {static_cast<int64_t>(num_kept), left_out.counts[kNoMetadata]};
}

json counts_of(const json& golden) {
  json counts;
  for (const char* key : {"written", "missing", "decode_errors", "filtered"})
    counts[key] = golden.at(key);
  return counts;
}

json records_of(const fs::path& shard) {
  json records = json::array();
  const MappedFile file(shard);
  RecordReader reader(file.bytes(), shard.string());
  while (const auto payload = reader.next()) {
    const Example example = parse_stored_example(*payload, shard.string());
    records.push_back({{"image_name", example.image_name},
                       {"captions", example.captions},
                       {"rgb_sha256", pixels_sha256(decode_picture(example, shard.string()))}});
  }
  return records;
}

// A source of one case: pictures and captions as its user would name them.
struct Build {
  std::function<std::vector<SourcePicture>()> pictures;
  std::function<CaptionTable()> captions;
  RecordBuildOptions options;
};

void check_build(const DataGolden& golden, const json& item, const Build& build) {
  const std::string name = item.at("name");
  const TemporaryFolder output("check");
  std::vector<ShardSidecar> built;
  std::pair<int64_t, int64_t> selected;
  std::string refusal;
  try {
    selected = by_metadata(build.pictures(), build.options);
    built =
        build_records(build.pictures(), build.captions(), build.options, output.path())[0].shards;
  } catch (const UserError& error) {
    refusal = error.what();
  }
  golden.expect(name, "refused", !refusal.empty(), item.contains("raises"));
  golden.expect(name, "counts", counts_of(built), counts_of(item));
  for (const auto& [key, found] : {std::pair{"kept_by_metadata", selected.first},
                                   {"skipped_without_metadata", selected.second}})
    golden.expect(name, key, found, item.value(key, int64_t{0}));
  // A run that is refused leaves nothing behind; the reference leaves the files it had opened. Each
  // shard has its sidecar.
  const json shards = refusal.empty() ? item.at("shards") : json::array();
  golden.expect(name, "shards", built.size(), shards.size());
  for (size_t i = 0; i < std::min(shards.size(), built.size()); ++i) {
    const std::string file = shards[i].at("file");
    const std::string found = shard_name(built[i].shard, built[i].num_shards);
    golden.expect(name, file + " name", found, file);
    golden.expect(name, file + " counts", counts_of({built[i]}), counts_of(shards[i]));
    golden.expect(name, file + " records", records_of(output.path() / found),
                  shards[i].at("records"));
  }
  const auto num_files = std::distance(fs::directory_iterator(output.path()), {});
  golden.expect(name, "files written", static_cast<size_t>(num_files), 2 * shards.size());
}

RecordBuildOptions folder_options(const DataGolden& golden, const json& item) {
  RecordBuildOptions options;
  const int size = item.at("image_size");
  options.resolutions = {{size, item.value("filter_shorter_edge", false) ? size : 0}};
  options.num_shards = golden.num_parts(item, "num_shards");
  if (item.contains("shape_metadata_path"))
    options.shape_metadata = golden.beside(item["shape_metadata_path"].get<std::string>());
  if (item.contains("shard_start"))
    options.shards = Span{item["shard_start"], item.at("shard_end")};
  if (item.contains("target_num_points")) options.target_count = item["target_num_points"];
  return options;
}

// The case that lies in no folder of the goldens: two copies of one picture below a root of that
// name, their captions those of its records.
void check_places(const DataGolden& golden, const json& item) {
  const TemporaryFolder temporary("check");
  const fs::path root = temporary.path() / "places365-challenge2016";
  for (const char* scene : {"abbey", "airfield"}) {
    fs::create_directories(root / "a" / scene);
    fs::copy_file(golden.beside("../images/inputs/shape_64x64.png"),
                  root / "a" / scene / "00000001.png");
  }
  std::vector<TableRow> rows;
  for (const json& record : item.at("shards").at(0).at("records"))
    rows.push_back({{"key", record.at("image_name")}, {"caption1", record.at("captions").at(0)}});
  const auto columns = item.at("caption_columns").get<std::vector<std::string>>();
  check_build(golden, item,
              {[&] { return list_folder(root); },
               [&] { return CaptionTable(rows, columns, "rows"); }, folder_options(golden, item)});
}

std::string file_bytes(const DataGolden& golden, const std::string& name) {
  return read_file(golden.beside(fs::path("../images/inputs") / name));
}

// A row of a table, "FILE x" in it standing for the bytes of a picture.
TableRow filled(const DataGolden& golden, TableRow row) {
  for (auto& cell : row) {
    if (cell.is_string() && cell.get<std::string>().starts_with("FILE "))
      cell = file_bytes(golden, cell.get<std::string>().substr(5));
  }
  return row;
}

std::vector<SourcePicture> table_pictures(const DataGolden& golden, const json& rows) {
  std::vector<SourcePicture> pictures;
  for (const json& row : rows) {
    const TableRow whole = filled(golden, row);
    pictures.push_back({table_key(whole, golden.path.string()), {}, table_picture(whole), {}});
  }
  return pictures;
}

}  // namespace

void check_folder_cases(const DataGolden& golden) {
  const fs::path root = golden.beside("folder");
  std::vector<std::string> order;
  for (const SourcePicture& picture : list_folder(root))
    order.push_back(picture.path.lexically_relative(root).string());
  golden.expect("folder", "order", order, golden.cases.at("order").get<std::vector<std::string>>());
  for (const json& item : golden.cases.at("cases")) {
    if (item.at("name") == "places") {
      check_places(golden, item);
      continue;
    }
    const auto columns = item.at("caption_columns").get<std::vector<std::string>>();
    const fs::path captions = golden.beside("captions.json");
    check_build(
        golden, item,
        {[&] { return list_folder(root); },
         [&] { return CaptionTable(read_caption_rows(captions), columns, "captions.json"); },
         folder_options(golden, item)});
  }
}

void check_table_cases(const DataGolden& golden) {
  std::vector<TableRow> rows;
  for (const char* key : {"id1", "id2", "id3", "7", "SUB:x/1.png", "a", "b", "c"})
    rows.push_back({{"key", key}, {"caption", std::string("caption of ") + key}});
  for (const json& item : golden.cases) {
    RecordBuildOptions options;
    const bool is_filtered = item.value("filter_shorter_edge", false);
    options.resolutions = {{kTableSize, is_filtered ? kTableSize : 0}};
    options.num_shards = golden.num_parts(item, "num_shards");
    check_build(golden, item,
                {[&] { return table_pictures(golden, item.at("rows")); },
                 [&] { return CaptionTable(rows, {"caption"}, "captions"); }, options});
  }
}

void check_build_rules(const DataGolden& golden) {
  using Range = std::vector<int64_t>;
  for (const json& item : golden.cases.at("split")) {
    const auto total = item.at("total").get<int64_t>(), shards = golden.num_parts(item, "shards");
    const std::string name = concat(total, " over ", shards);
    std::vector<Range> runs, all;
    for (int64_t shard = 0; shard < shards; ++shard) {
      const Span part = even_part(total, shard, shards);
      all.push_back({part.begin, part.end});
      if (runs.empty() || runs.back()[0] != part.size()) runs.push_back({part.size(), 0});
      ++runs.back()[1];
    }
    golden.expect(name, "sizes", runs, item.at("sizes_run_length").get<std::vector<Range>>());
    golden.expect(name, "first", all.front(), item.at("first").get<Range>());
    golden.expect(name, "last", all.back(), item.at("last").get<Range>());
    if (item.contains("all"))
      golden.expect(name, "all", all, item["all"].get<std::vector<Range>>());
  }
  for (const json& item : golden.cases.at("reservoir")) {
    const auto draws = item.at("draws_range_value").get<std::vector<Range>>();
    const auto items = item.at("items").get<int64_t>(), limit = item.at("limit").get<int64_t>();
    const std::string name = concat(limit, " of ", items);
    std::vector<int64_t> ranges;
    Reservoir reservoir(limit, [&](int64_t range) {
      ranges.push_back(range);
      return ranges.size() <= draws.size() ? draws[ranges.size() - 1].at(1) : range;
    });
    std::vector<int64_t> eligible(static_cast<size_t>(items));
    std::iota(eligible.begin(), eligible.end(), int64_t{0});
    for (const int64_t i : item.value("eligible", eligible)) reservoir.add(i);
    std::vector<int64_t> expected_ranges;
    for (const Range& draw : draws) expected_ranges.push_back(draw[0]);
    golden.expect(name, "ranges drawn from", ranges, expected_ranges);
    golden.expect(name, "sample", reservoir.sample(), item.at("sample").get<Range>());
    golden.expect(name, "total", reservoir.total(), item.at("total").get<int64_t>());
  }
}

void check_yfcc(const DataGolden& golden) {
  for (const json& item : golden.cases.at("urls")) {
    const std::string url = item.at("download_url");
    golden.expect(url, "md5", md5_hex(url), item.at("md5").get<std::string>());
    golden.expect(url, "name", yfcc_name(url), item.at("name").get<std::string>());
    golden.expect(url, "address", yfcc_address(url), item.at("url").get<std::string>());
  }
  for (const json& item : golden.cases.at("layout")) {
    const auto row = item.at("row").get<int64_t>();
    const std::string name = concat("row ", row);
    const json& id = item.at("photoid");
    const auto file = yfcc_file(row, id.is_null() ? "" : text_of_cell(id));
    golden.expect(name, "file", file ? json(*file) : json(nullptr), item.at("file"));
    golden.expect(name, "shard", yfcc_shard(row, golden.num_parts(item, "num_shards")),
                  item.at("shard").get<int64_t>());
  }
}

}  // namespace i1
