#include "i1/data/fetch_list.h"

#include <algorithm>

#include "i1/core/error.h"
#include "i1/data/yfcc.h"

namespace i1 {
namespace {

constexpr int64_t kRowsPerFolder = 10000;
constexpr size_t kLongestPart = 200;  // file systems take 255 bytes, with the extension

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; });
}

bool is_safe_name(std::string_view name) {
  if (has_control(name)) return false;
  for (;;) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > kLongestPart) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

bool is_address(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (text.starts_with(scheme) && text.size() > scheme.size()) return !has_control(text);
  return false;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

std::optional<std::vector<std::string>> split_csv(std::string_view line) {
  std::vector<std::string> fields(1);
  for (size_t at = 0; at < line.size();) {
    if (line[at] == ',') {
      fields.emplace_back();
      ++at;
    } else if (line[at] == '"' && fields.back().empty()) {
      for (++at;; ++at) {
        if (at == line.size()) return std::nullopt;
        if (line[at] == '"' && (at + 1 == line.size() || line[at + 1] != '"')) break;
        if (line[at] == '"') ++at;  // two of them are one
        fields.back() += line[at];
      }
      ++at;
      if (at < line.size() && line[at] != ',') return std::nullopt;
    } else {
      fields.back() += line[at++];
    }
  }
  return fields;
}

std::optional<FetchEntry> yfcc_entry(int64_t row, const std::string& photoid,
                                     const std::string& address) {
  const std::optional<std::string> file = yfcc_file(row, photoid);
  if (!file || is_blank(address)) return std::nullopt;
  const size_t dot = file->rfind('.');
  return FetchEntry{row, file->substr(0, dot), file->substr(dot + 1), yfcc_address(address)};
}

bool is_yfcc_name(const std::string& name) {
  return is_safe_name(name) && name.find('/', name.find('/') + 1) == std::string::npos;
}

FetchListReader::FetchListReader(std::istream& in, std::string where, WorkPart shard)
    : in_(in), where_(std::move(where)), shard_(shard) {
  has_line_ = read_line();
  if (line_.starts_with("\xef\xbb\xbf")) line_.erase(0, 3);
  const auto names = split_csv(line_);
  if (!names) return;
  const auto id = std::find(names->begin(), names->end(), "photoid");
  const auto address = std::find(names->begin(), names->end(), "downloadurl");
  if (id == names->end() || address == names->end()) return;
  id_column_ = static_cast<size_t>(id - names->begin());
  address_column_ = static_cast<size_t>(address - names->begin());
  num_columns_ = names->size();
  has_line_ = false;
}

std::optional<FetchEntry> FetchListReader::next() {
  while (has_line_ || read_line()) {
    has_line_ = false;
    ++row_;
    if (is_blank(line_)) continue;
    const bool is_ours = yfcc_shard(row_, shard_.count) == shard_.index;
    std::optional<FetchEntry> entry = num_columns_ > 0 ? parse_table_row() : parse_line();
    if (!is_ours) continue;
    if (entry) return entry;
    ++num_incomplete_;
  }
  return std::nullopt;
}

bool FetchListReader::read_line() {
  if (!std::getline(in_, line_)) {
    check_user(!in_.bad(), where_, ": cannot be read");
    return false;
  }
  ++line_number_;
  if (line_.ends_with('\r')) line_.pop_back();
  return true;
}

void FetchListReader::check_line(bool ok, std::string_view problem) const {
  check_user(ok, where_, ": line ", line_number_, ": ", problem);
}

std::optional<FetchEntry> FetchListReader::parse_line() {
  const size_t tab = line_.find('\t');
  FetchEntry entry;
  entry.row = row_;
  entry.name =
      tab == std::string::npos ? concat(row_ / kRowsPerFolder, '/', row_) : line_.substr(0, tab);
  entry.address = tab == std::string::npos ? line_ : line_.substr(tab + 1);
  check_line(is_address(entry.address),
             "expected an address (http:// or https://), a name, a tab and an address, or as the "
             "first line photoid,downloadurl");
  check_line(is_safe_name(entry.name),
             "the name before the tab: expected a relative path without \"..\", of parts of 1 to "
             "200 bytes");
  return entry;
}

std::optional<FetchEntry> FetchListReader::parse_table_row() {
  const auto fields = split_csv(line_);
  check_line(fields.has_value(), "a quote that is not closed, or text behind a closing one");
  check_line(fields->size() == num_columns_,
             concat(fields->size(), " columns, expected the ", num_columns_, " of the first line"));
  const auto entry = yfcc_entry(row_, (*fields)[id_column_], (*fields)[address_column_]);
  check_line(!entry || is_yfcc_name(entry->name), kYfccNameRule);
  return entry;
}

}  // namespace i1
