#include "i1/data/sources.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/nearest.h"
#include "i1/data/parquet_pictures.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::array kExtensions = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"};
constexpr const char* kPlaces = "places365-challenge2016";

bool is_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& letter : extension)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

// Python's repr of a float: the shortest digits that read back, with a point or an exponent.
std::string text_of_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> text;
  const double size = std::abs(value);
  const bool is_plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value,
                    is_plain ? std::chars_format::fixed : std::chars_format::scientific)
          .ptr;
  std::string digits(text.data(), end);
  if (is_plain && digits.find('.') == std::string::npos) digits += ".0";
  return digits;
}

// As Python's int() takes it: numbers are cut, text must be a whole number.
std::optional<int64_t> whole_number(const json& cell) {
  if (cell.is_number_integer()) return cell.get<int64_t>();
  if (cell.is_number_float()) {
    const double value = std::trunc(cell.get<double>());
    if (std::abs(value) < 9e18) return static_cast<int64_t>(value);
  }
  if (!cell.is_string()) return std::nullopt;
  std::string text = cell.get<std::string>();
  const char* blanks = " \t\r\n";
  text.erase(0, text.find_first_not_of(blanks));
  text.erase(text.find_last_not_of(blanks) + 1);
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

}  // namespace

SourceBytes::SourceBytes(const SourcePicture& picture) {
  if (picture.table != nullptr) {
    read_ = picture.table->read(picture.row, picture.key);
    bytes_ = std::as_bytes(std::span(read_));
    return;
  }
  if (picture.path.empty()) {
    check_user(picture.bytes.has_value(), picture.key, ": the row has no picture");
    bytes_ = std::as_bytes(std::span(*picture.bytes));
    return;
  }
  file_ = std::make_unique<MappedFile>(picture.path);
  bytes_ = file_->bytes();
  if (!picture.part) return;
  const Span part = *picture.part;
  check_user(part.end <= static_cast<int64_t>(bytes_.size()), picture.path.string(),
             ": cannot be read at byte ", part.begin);
  bytes_ = bytes_.subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.size()));
}

std::string read_source(const SourcePicture& picture) {
  const SourceBytes source(picture);
  return {reinterpret_cast<const char*>(source.bytes().data()), source.bytes().size()};
}

std::string source_name(const SourcePicture& picture) {
  if (picture.table != nullptr) return concat("a table, row ", picture.row);
  if (picture.path.empty()) return "a table";
  return picture.part ? picture.path.string() + ": " + picture.key : picture.path.string();
}

std::vector<SourcePicture> in_reading_order(std::vector<SourcePicture> pictures) {
  std::stable_sort(pictures.begin(), pictures.end(),
                   [](const SourcePicture& a, const SourcePicture& b) { return a.row < b.row; });
  return pictures;
}

std::vector<SourcePicture> list_folder(const fs::path& root) {
  check_user(fs::is_directory(root), root.string(), ": no such folder; expected one of pictures");
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_regular_file() && is_picture(entry.path())) paths.push_back(entry.path());
  }
  check_user(!paths.empty(), root.string(),
             ": no picture in this folder (jpg, png, webp, bmp, tif)");
  std::sort(paths.begin(), paths.end());  // a path compares component by component
  std::vector<SourcePicture> pictures;
  for (const fs::path& path : paths) {
    std::string key = path.stem().string();
    if (path.string().find(kPlaces) != std::string::npos)
      key = path.parent_path().filename().string() + "_" + key;
    pictures.push_back({std::move(key), path, std::nullopt, std::nullopt});
  }
  return pictures;
}

std::string text_of_cell(const json& cell) {
  if (cell.is_string()) return cell.get<std::string>();
  if (cell.is_null()) return "None";
  if (cell.is_boolean()) return cell.get<bool>() ? "True" : "False";
  if (cell.is_number_float()) return text_of_float(cell.get<double>());
  return cell.dump();
}

std::string table_key(const TableRow& row, const std::string& where) {
  for (const char* field : kKeyFields) {
    if (row.contains(field)) return text_of_cell(row[field]);
  }
  throw UserError(where + ": a row has no key (image_id, __key__, id or global_id)");
}

std::optional<std::string> table_picture(const TableRow& row) {
  const auto text = [](const json& cell) -> std::optional<std::string> {
    if (cell.is_string()) return cell.get<std::string>();
    return std::nullopt;
  };
  if (row.contains("image") && !row["image"].is_null()) return text(row["image"]);
  for (const char* field : kPictureFields) {
    if (row.contains(field)) return text(row[field]);
  }
  return std::nullopt;
}

CaptionTable::CaptionTable(const std::vector<TableRow>& rows,
                           const std::vector<std::string>& columns, const std::string& where)
    : num_columns_(columns.size()) {
  std::set<std::string> known;
  for (const TableRow& row : rows) {
    check_user(row.is_object() && row.contains("key"), where, ": a row has no \"key\"");
    auto& captions = captions_[text_of_cell(row["key"])];
    captions.resize(num_columns_);
    for (size_t i = 0; i < num_columns_; ++i) {
      const auto cell = row.find(columns[i]);
      if (cell == row.end() || cell->is_null()) continue;
      std::vector<std::string> texts;
      for (const json& one : cell->is_array() ? *cell : json::array({*cell}))
        if (!one.is_null()) texts.push_back(text_of_cell(one));
      if (!texts.empty()) captions[i] = std::move(texts);
    }
    for (const auto& item : row.items()) known.insert(item.key());
  }
  for (const std::string& column : columns) {
    check_user(known.contains(column), where, ": no column \"", column, "\"; nearest: \"",
               nearest(column, {known.begin(), known.end()}), "\"");
  }
}

std::optional<std::vector<std::string>> CaptionTable::find(const std::string& key) const {
  const auto found = captions_.find(key);
  if (found == captions_.end()) return std::nullopt;
  std::vector<std::string> captions;
  for (const std::vector<std::string>& texts : found->second) {
    if (texts.empty()) return std::nullopt;
    captions.insert(captions.end(), texts.begin(), texts.end());
  }
  return captions;
}

void for_each_json_line(const fs::path& path,
                        const std::function<void(TableRow, const std::string&)>& visit) {
  const std::string text = read_file(path);
  int64_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = concat(path.string(), ", line ", line_number);
    json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
    check_user(object.is_object(), where, ": expected a JSON object");
    visit(std::move(object), where);
  }
}

std::unordered_map<std::string, int64_t> read_shape_metadata(const fs::path& path) {
  std::unordered_map<std::string, int64_t> edges;
  for_each_json_line(path, [&](const TableRow& entry, const std::string& where) {
    check_user(entry.contains("image_name") && entry.contains("short_edge"), where,
               ": expected image_name and short_edge");
    const std::optional<int64_t> edge = whole_number(entry["short_edge"]);
    check_user(edge.has_value(), where, ": short_edge ", entry["short_edge"].dump(),
               " is no number");
    edges[text_of_cell(entry["image_name"])] = *edge;
  });
  return edges;
}

void Reservoir::add(int64_t item) {
  ++total_;
  if (static_cast<int64_t>(sample_.size()) < limit_) {
    sample_.push_back(item);
  } else if (limit_ > 0) {
    const int64_t slot = draw_(total_);
    if (slot < limit_) sample_[static_cast<size_t>(slot)] = item;
  }
}

}  // namespace i1
