#include "i1/data/example.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/utf8.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWrongFeatures = "wrong features";
constexpr int64_t kMaxStoredPixels = 1 << 26;  // stored pictures have 4096 x 4096 at most

template <class List>
List& feature_of(Features& features, const std::string& key, size_t count,
                 const std::string& where) {
  const auto found = features.find(key);
  check_record(found != features.end(), kWrongFeatures, where, ": no feature \"", key, "\"");
  List* values = std::get_if<List>(&found->second);
  check_record(values != nullptr, kWrongFeatures, where, ": feature \"", key,
               "\" is of another kind");
  check_record(values->size() == count, kWrongFeatures, where, ": feature \"", key, "\" has ",
               values->size(), " values, expected ", count);
  return *values;
}

using Strings = std::vector<std::string>;
using Integers = std::vector<int64_t>;

}  // namespace

std::string serialize(const Example& example) {
  return serialize_example(
      {{"image", Strings{example.png}},
       {"image/shape", Integers{example.height, example.width, example.channels}},
       {"caption", example.captions},
       {"image_name", Strings{example.image_name}}});
}

Example parse_stored_example(std::string_view payload, const std::string& where) {
  Features features = parse_example(payload, where);
  Example example;
  example.png = std::move(feature_of<Strings>(features, "image", 1, where)[0]);
  const Integers& shape = feature_of<Integers>(features, "image/shape", 3, where);
  example.height = shape[0];
  example.width = shape[1];
  example.channels = shape[2];
  example.image_name = feature_of<Strings>(features, "image_name", 1, where)[0];
  const auto captions = features.find("caption");
  if (captions != features.end()) {
    Strings* texts = std::get_if<Strings>(&captions->second);
    check_record(texts != nullptr, kWrongFeatures, where,
                 ": feature \"caption\" is of another kind");
    example.captions = std::move(*texts);
  }
  return example;
}

Image decode_picture(const Example& example, const std::string& where) {
  check_record(!example.png.empty() && example.height != 0 && example.width != 0, "empty picture",
               where, ": a picture of ", example.png.size(), " bytes and ", example.height, " x ",
               example.width, " pixels");
  const auto bytes = std::as_bytes(std::span(example.png));
  const auto decodes = [](auto&& read) {
    try {
      return read();
    } catch (const UserError& error) {
      throw RecordError("picture does not decode", error.what());
    }
  };
  // By the header, before memory is taken: a few bytes may claim gigabytes.
  const ImageSize size = decodes([&] { return probe_image(bytes, where); });
  const auto fits = [](int64_t stated, int found) { return stated == -1 || stated == found; };
  check_record(fits(example.height, size.height) && fits(example.width, size.width) &&
                   fits(example.channels, 3),
               "shape does not fit the picture", where, ": image/shape says ", example.height,
               " x ", example.width, " x ", example.channels, ", but the picture has ", size.height,
               " rows of ", size.width, " pixels");
  check_record(int64_t{size.width} * size.height <= kMaxStoredPixels, "picture is too large", where,
               ": ", size.width, " x ", size.height, " pixels, more than ", kMaxStoredPixels);
  return decodes([&] {
    return decode_image(bytes, where, {.max_pixels = kMaxStoredPixels, .must_be_whole = true});
  });
}

void check_captions(const Example& example, bool needs_caption, const std::string& where) {
  check_record(!needs_caption || !example.captions.empty(), "no caption", where, ": no caption");
  for (const std::string& caption : example.captions) {
    for (std::string_view rest = caption; !rest.empty();) {
      const size_t length = utf8_length(rest);
      check_record(length > 0, "caption is not UTF-8", where, ": a caption is not UTF-8 at byte ",
                   caption.size() - rest.size());
      rest.remove_prefix(length);
    }
  }
}

std::string shard_name(int64_t shard, int64_t num_shards, ShardFormat format) {
  char name[80];
  std::snprintf(name, sizeof name,
                format == ShardFormat::kTfrecord ? "dataset-train.tfrecord-%05ld-of-%05ld"
                                                 : "dataset-train-%05ld-of-%05ld.tar",
                static_cast<long>(shard), static_cast<long>(num_shards));
  return name;
}

namespace {

// 12 of "00012"; -1 for what is not five digits or more.
int64_t number_in(std::string_view digits) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size();
  return is_number && digits.size() >= 5 ? value : -1;
}

}  // namespace

std::optional<ShardNumber> parse_shard_name(std::string_view file_name) {
  constexpr std::string_view kOf = "-of-", kTar = ".tar";
  ShardNumber number;
  if (file_name.ends_with(kTar)) {
    number.format = ShardFormat::kWebDataset;
    file_name.remove_suffix(kTar.size());
  }
  const std::string_view split =
      number.format == ShardFormat::kTfrecord ? "-train.tfrecord-" : "-train-";
  const size_t begin = file_name.rfind(split);
  if (begin == std::string_view::npos || begin == 0) return std::nullopt;
  const std::string_view numbers = file_name.substr(begin + split.size());
  const size_t of = numbers.find(kOf);
  if (of == std::string_view::npos) return std::nullopt;
  number.shard = number_in(numbers.substr(0, of));
  number.num_shards = number_in(numbers.substr(of + kOf.size()));
  if (number.shard < 0 || number.num_shards < 0) return std::nullopt;
  return number;
}

std::vector<fs::path> find_shards(const fs::path& folder, ShardFormat format) {
  check_user(fs::is_directory(folder), folder.string(), ": no such folder; expected one of shards");
  std::vector<fs::path> shards;
  int64_t num_shards = -1;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto number = parse_shard_name(entry.path().filename().string());
    if (!number || number->format != format) continue;
    check_user(num_shards < 0 || num_shards == number->num_shards, folder.string(), ": shards of ",
               num_shards, " and of ", number->num_shards, " lie side by side");
    num_shards = number->num_shards;
    shards.push_back(entry.path());
  }
  check_user(!shards.empty(), folder.string(),
             format == ShardFormat::kTfrecord
                 ? ": no shards (NAME-train.tfrecord-00000-of-00001) in this folder"
                 : ": no shards (NAME-train-00000-of-00001.tar) in this folder");
  check_user(static_cast<int64_t>(shards.size()) == num_shards, folder.string(), ": ",
             shards.size(), " of ", num_shards, " shards are there");
  std::sort(shards.begin(), shards.end());
  return shards;
}

std::vector<int64_t> read_shard_lengths(const fs::path& dataset_info) {
  using nlohmann::json;
  const json info = json::parse(read_file(dataset_info), nullptr, /*allow_exceptions=*/false);
  std::vector<int64_t> lengths;
  try {
    for (const json& split : info.at("splits")) {
      if (split.at("name") != "train") continue;
      for (const json& length : split.at("shardLengths")) {
        lengths.push_back(length.is_string() ? std::stoll(length.get<std::string>())
                                             : length.get<int64_t>());
        check_user(lengths.back() >= 0, dataset_info.string(), ": a shard of ", lengths.back(),
                   " records");
      }
      return lengths;
    }
  } catch (const json::exception&) {
  } catch (const std::logic_error&) {  // of stoll
  }
  throw UserError(dataset_info.string() +
                  ": no shardLengths of a split \"train\"; the file is damaged, or not of TFDS");
}

std::string features_json(const DatasetInfo& info) {
  using nlohmann::json;
  const std::string core = "tensorflow_datasets.core.features.";
  const std::string side = info.resolution == 0 ? "-1" : std::to_string(info.resolution);
  const json text = {{"pythonClassName", core + "text_feature.Text"}, {"text", json::object()}};
  json caption = text, image_name = text;
  caption["description"] = "Captions of the picture.";
  image_name["description"] = "Key of the picture.";
  const json features = {
      {"caption",
       {{"pythonClassName", core + "sequence_feature.Sequence"},
        {"sequence", {{"feature", caption}, {"length", "-1"}}}}},
      {"image",
       {{"description", "RGB picture, stored as PNG."},
        {"image",
         {{"dtype", "uint8"},
          {"encodingFormat", "png"},
          {"shape", {{"dimensions", {side, side, "3"}}}}}},
        {"pythonClassName", core + "image_feature.Image"}}},
      {"image/shape",
       {{"description", "Rows, columns, channels."},
        {"pythonClassName", core + "tensor_feature.Tensor"},
        {"tensor",
         {{"dtype", "int64"}, {"encoding", "none"}, {"shape", {{"dimensions", {"3"}}}}}}}},
      {"image_name", image_name}};
  return json{{"featuresDict", {{"features", features}}},
              {"pythonClassName", core + "features_dict.FeaturesDict"}}
      .dump(4);
}

std::string dataset_info_json(const DatasetInfo& info) {
  using nlohmann::json;
  std::vector<std::string> lengths;  // proto JSON writes int64 as strings
  for (const int64_t length : info.shard_lengths) lengths.push_back(std::to_string(length));
  const json split = {{"filepathTemplate", "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"},
                      {"name", "train"},
                      {"numBytes", std::to_string(info.num_payload_bytes)},
                      {"shardLengths", lengths}};
  const json items = json::array({json{{"featureKey", "image"}}, json{{"featureKey", "caption"}}});
  return json{{"description", info.description},
              {"fileFormat", "tfrecord"},
              {"name", "dataset"},
              {"splits", json::array({split})},
              {"supervisedKeys", {{"tuple", {{"items", items}}}}},
              {"version", "1.0.0"}}
      .dump(2);
}

void write_dataset_info(const fs::path& folder, const DatasetInfo& info) {
  write_file_atomically(folder / "features.json", features_json(info));
  write_file_atomically(folder / "dataset_info.json", dataset_info_json(info));
}

}  // namespace i1
