#include "i1/data/caption_rows.h"

#include <map>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/parquet_set.h"
#include "i1/tables/addresses.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kBlanks = " \t\r\n";

std::string trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(kBlanks));
  text.erase(text.find_last_not_of(kBlanks) + 1);
  return text;
}

std::vector<TableRow> rows_of_json(const fs::path& path) {
  json table = json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  check_user(!table.is_discarded() && (table.is_array() || table.is_object()) && !table.empty(),
             path.string(),
             ": expected a JSON list of rows or an object of captions; empty, damaged, or not "
             "UTF-8");
  if (table.is_array())
    return {std::make_move_iterator(table.begin()), std::make_move_iterator(table.end())};
  std::vector<TableRow> rows;
  for (auto& [key, caption] : table.items())
    rows.push_back({{"key", key}, {kCaptionColumn, std::move(caption)}});
  return rows;
}

std::vector<TableRow> rows_of_lines(const fs::path& path) {
  std::vector<TableRow> rows;
  for_each_json_line(path,
                     [&](TableRow row, const std::string&) { rows.push_back(std::move(row)); });
  return rows;
}

// Splits text into lines of fields. A field in quotes may hold separators, line ends and, doubled,
// quotes.
class FieldReader {
 public:
  FieldReader(std::string text, char separator, std::string where)
      : text_(std::move(text)), separator_(separator), where_(std::move(where)) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark, as spreadsheets write it
  }

  // The fields of the next line that is not empty; none at the end.
  std::vector<std::string> next() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) skip_line_end();
    std::vector<std::string> fields;
    if (at_ == text_.size()) return fields;
    for (;;) {
      fields.push_back(field());
      if (at_ == text_.size() || text_[at_] != separator_) break;
      ++at_;
    }
    skip_line_end();
    return fields;
  }

  std::string where() const { return concat(where_, ", line ", line_); }

 private:
  void skip_line_end() {
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') {
      ++at_;
      ++line_;
    }
  }

  std::string field() {
    if (at_ < text_.size() && text_[at_] == '"') return quoted_field();
    const size_t end =
        std::min(text_.find_first_of(std::string{separator_, '\r', '\n'}, at_), text_.size());
    std::string value = text_.substr(at_, end - at_);
    at_ = end;
    return value;
  }

  std::string quoted_field() {
    const std::string begun = where();
    std::string value;
    for (++at_;; ++at_) {
      check_user(at_ < text_.size(), begun, ": a quote is opened and never closed");
      if (text_[at_] == '"' && (++at_ == text_.size() || text_[at_] != '"')) break;
      if (text_[at_] == '\n') ++line_;
      value += text_[at_];
    }
    const bool is_end =
        at_ == text_.size() || text_[at_] == separator_ || text_[at_] == '\n' || text_[at_] == '\r';
    check_user(is_end, where(), ": text after a closing quote; quotes within are doubled");
    return value;
  }

  const std::string text_;
  const char separator_;
  const std::string where_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

std::vector<TableRow> rows_of_fields(const fs::path& path, char separator) {
  FieldReader reader(read_file(path), separator, path.string());
  const std::vector<std::string> names = reader.next();
  std::vector<TableRow> rows;
  for (;;) {
    const std::string where = reader.where();
    const std::vector<std::string> fields = reader.next();
    if (fields.empty()) return rows;
    check_user(fields.size() == names.size(), where, ": ", fields.size(), " fields; expected ",
               names.size(), ", as many as the first line names");
    TableRow row;
    for (size_t i = 0; i < names.size(); ++i) row[names[i]] = fields[i];
    rows.push_back(std::move(row));
  }
}

std::string name_without_extension(const json& file_name) {
  return fs::path(text_of_cell(file_name)).stem().string();
}

}  // namespace

std::vector<TableRow> read_caption_rows(const fs::path& path) {
  const std::string ending = path.extension().string();
  const bool is_parquet =
      ending == ".parquet" || is_remote(path.string()) || fs::is_directory(path);
  std::vector<TableRow> rows = is_parquet           ? read_parquet_rows(path.string())
                               : ending == ".jsonl" ? rows_of_lines(path)
                               : ending == ".csv"   ? rows_of_fields(path, ',')
                               : ending == ".tsv"   ? rows_of_fields(path, '\t')
                                                    : rows_of_json(path);
  check_user(!rows.empty(), path.string(), ": no caption in this file");
  for (TableRow& row : rows) {
    if (row.is_object() && !row.contains("key") && row.contains("file_name"))
      row["key"] = name_without_extension(row["file_name"]);
  }
  return rows;
}

std::vector<TableRow> captions_beside(const std::vector<SourcePicture>& pictures) {
  std::vector<TableRow> rows;
  for (const SourcePicture& picture : pictures) {
    const fs::path text = fs::path(picture.path).replace_extension(".txt");
    if (fs::is_regular_file(text))
      rows.push_back({{"key", picture.key}, {kCaptionColumn, trimmed(read_file(text))}});
  }
  check_user(!rows.empty(), "no picture has a text file beside it (cat.jpg, cat.txt), as ",
             pictures.empty() ? "" : pictures.front().path.string(),
             " would; name a file of captions with --captions");
  return rows;
}

std::vector<std::string> text_columns(const std::vector<TableRow>& rows) {
  std::map<std::string, bool> is_text;
  for (const TableRow& row : rows) {
    for (const auto& [name, cell] : row.items()) {
      if (name == "key" || name == "file_name" || cell.is_null()) continue;
      is_text.try_emplace(name, true).first->second &= cell.is_string();
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, holds_text] : is_text)
    if (holds_text) names.push_back(name);
  return names;
}

}  // namespace i1
