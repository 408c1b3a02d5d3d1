#include "i1/data/parquet_set.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>

#include "i1/core/error.h"
#include "i1/core/interrupt.h"
#include "i1/core/nearest.h"
#include "i1/core/progress.h"
#include "i1/data/parquet_pictures.h"
#include "i1/tables/addresses.h"

namespace i1 {
namespace {

using nlohmann::json;
using Kind = ParquetColumn::Kind;

constexpr int64_t kRowsAtOnce = 1024;
constexpr size_t kFilesAtOnce = 16;  // most of the time of a remote one is waiting

struct Columns {
  std::string key;  // empty: FILE_ROW
  std::vector<std::string> pictures, captions;
};

// What one file adds to the set.
struct FileRows {
  int64_t num_rows = 0;
  std::vector<std::string> keys;
  std::vector<TableRow> captions;
};

const ParquetColumn* find_column(const ParquetFile& file, const std::string& name) {
  for (const ParquetColumn& column : file.columns())
    if (column.name == name) return &column;
  return nullptr;
}

const ParquetColumn& column_of(const ParquetFile& file, const std::string& name,
                               const std::string& where) {
  if (const ParquetColumn* column = find_column(file, name)) return *column;
  std::vector<std::string> names;
  for (const ParquetColumn& column : file.columns()) names.push_back(column.name);
  throw UserError(
      concat(where, ": no column \"", name, "\"; nearest: \"", nearest(name, names), "\""));
}

bool is_value(const ParquetColumn& column) {
  return column.kind == Kind::kText || column.kind == Kind::kNumber ||
         column.kind == Kind::kNothing;
}

void check_columns(const ParquetFile& file, const Columns& columns, const std::string& where) {
  const auto check = [&](bool is_good, const ParquetColumn& column, const char* expected) {
    check_user(is_good, where, ": column \"", column.name, "\" is ", column.type, "; expected ",
               expected);
  };
  if (!columns.key.empty()) {
    const ParquetColumn& column = column_of(file, columns.key, where);
    check(is_value(column) && !column.is_list, column, "text or numbers as keys");
  }
  for (const std::string& name : columns.captions) {
    const ParquetColumn& column = column_of(file, name, where);
    check(is_value(column), column, "text, or lists of it, as captions");
  }
  for (const std::string& name : columns.pictures) {
    const ParquetColumn& column = column_of(file, name, where);
    const bool is_image = column.kind == Kind::kStruct &&
                          (find_column(file, name + ".bytes") || find_column(file, name + ".path"));
    const bool is_other =
        column.kind == Kind::kBytes || column.kind == Kind::kText || column.kind == Kind::kNothing;
    check(is_image || is_other, column,
          "pictures: bytes, {bytes, path}, or text with paths or addresses");
  }
}

std::string last_name(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::vector<std::string> find_captions(const ParquetFile& file) {
  std::vector<std::string> named, others;
  for (const ParquetColumn& column : file.columns()) {
    if (column.kind != Kind::kText) continue;
    const std::string name = last_name(column.name);
    if (name.find("caption") != std::string::npos) named.push_back(column.name);
    if (name == "text" || name == "prompt" || name == "description") others.push_back(column.name);
  }
  return named.empty() ? others : named;
}

std::string names_of(const ParquetFile& file) {
  std::string names;
  for (const ParquetColumn& column : file.columns())
    names += (names.empty() ? "" : ", ") + column.name;
  return names;
}

// What is asked for, and by the rules what is not.
Columns choose_columns(const ParquetFile& file, const ParquetSetOptions& options,
                       const std::string& where) {
  Columns columns{options.key, {}, options.captions};
  const auto first_of = [&](const auto& names) -> std::string {
    for (const char* name : names)
      if (find_column(file, name) != nullptr) return name;
    return "";
  };
  if (columns.key.empty()) columns.key = first_of(kKeyFields);
  if (!options.picture.empty()) {
    columns.pictures = {options.picture};
  } else {
    if (find_column(file, "image") != nullptr) columns.pictures.push_back("image");
    if (const std::string name = first_of(kPictureFields); !name.empty())
      columns.pictures.push_back(name);
    check_user(!columns.pictures.empty(), where, ": no column image, jpg, webp, output or png; ",
               "name that of the pictures with --picture; there are: ", names_of(file));
  }
  if (!options.read_captions) columns.captions.clear();
  if (options.read_captions && columns.captions.empty()) {
    columns.captions = find_captions(file);
    check_user(!columns.captions.empty(), where, ": no column that is named as one of captions; ",
               "name some with --columns; there are: ", names_of(file));
  }
  return columns;
}

// Null, a text, or a list of them.
json captions_of(const json& row, const ParquetColumn& column) {
  json texts = json::array();
  for (const json* value : values_at(row, column.name)) texts.push_back(text_of_cell(*value));
  if (texts.empty()) return nullptr;
  return column.is_list ? texts : texts.front();
}

std::string key_of(const json& row, const std::string& column) {
  const std::vector<const json*> values = values_at(row, column);
  return text_of_cell(values.empty() ? json(nullptr) : *values.front());
}

// Keys and captions of a file; its pictures are not touched.
FileRows read_rows(ParquetFile& file, const Columns& columns, const std::string& address) {
  FileRows rows;
  rows.num_rows = file.num_rows();
  std::vector<std::string> names = columns.captions;
  if (!columns.key.empty()) names.push_back(columns.key);
  file.choose(names);
  const std::string shown = shown_address(address);
  const std::string stem = std::filesystem::path(shown).stem().string();
  for (int64_t begin = 0; begin < rows.num_rows; begin += kRowsAtOnce) {
    check_interrupt();
    const int64_t end = std::min(begin + kRowsAtOnce, rows.num_rows);
    const std::vector<json> some =
        names.empty() ? std::vector<json>(static_cast<size_t>(end - begin)) : file.read(begin, end);
    for (const json& row : some) {
      rows.keys.push_back(columns.key.empty() ? concat(stem, "_", rows.keys.size())
                                              : key_of(row, columns.key));
      if (columns.captions.empty()) continue;
      TableRow captions = {{"key", rows.keys.back()}};
      for (const std::string& column : columns.captions)
        captions[column] = captions_of(row, *find_column(file, column));
      rows.captions.push_back(std::move(captions));
    }
  }
  return rows;
}

// Calls work(i) for all i below `count`, some at a time; what one throws ends them and is thrown
// on.
template <class Work>
void for_each_at_once(size_t count, const Work& work) {
  Progress progress("Parquet files", static_cast<int64_t>(count), "files");
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  int64_t num_done = 0;
  std::exception_ptr thrown;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
        const std::lock_guard lock(mutex);
        progress.update(++num_done);
      } catch (...) {
        next = count;
        const std::lock_guard lock(mutex);
        if (!thrown) thrown = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < std::min(count, kFilesAtOnce); ++i) threads.emplace_back(run);
    run();
  }
  if (thrown) std::rethrow_exception(thrown);
}

std::vector<FileRows> read_all(const std::vector<std::string>& files, const Columns& columns) {
  std::vector<FileRows> all(files.size());
  for_each_at_once(files.size(), [&](size_t i) {
    const auto file = open_parquet(files[i]);
    if (file->num_rows() == 0) return;
    check_columns(*file, columns, shown_address(files[i]));
    all[i] = read_rows(*file, columns, files[i]);
  });
  return all;
}

std::vector<std::string> find_all(const std::vector<std::string>& addresses) {
  std::vector<std::string> files;
  for (const std::string& address : addresses)
    for (std::string& file : find_parquet(address)) files.push_back(std::move(file));
  return files;
}

struct FirstFile {
  std::unique_ptr<ParquetFile> file;
  std::string where;
};

// The first that has rows: it decides which columns there are.
FirstFile open_first(const std::vector<std::string>& files) {
  for (const std::string& address : files) {
    FirstFile first{open_parquet(address), shown_address(address)};
    if (first.file->num_rows() > 0) return first;
  }
  throw UserError(concat(shown_address(files.front()), files.size() > 1 ? " and others" : "",
                         ": no row in any file"));
}

}  // namespace

ParquetSet list_parquet(const ParquetSetOptions& options) {
  const std::vector<std::string> files = find_all(options.addresses);
  const FirstFile first = open_first(files);
  const Columns columns = choose_columns(*first.file, options, first.where);
  std::vector<FileRows> all = read_all(files, columns);
  std::vector<int64_t> begins = {0};
  for (const FileRows& rows : all) begins.push_back(begins.back() + rows.num_rows);
  ParquetSet set;
  set.columns = columns.captions;
  set.has_key_column = !columns.key.empty();
  const auto table = std::make_shared<ParquetPictures>(files, begins, columns.pictures);
  for (FileRows& rows : all) {
    for (std::string& key : rows.keys) {
      SourcePicture picture;
      picture.key = std::move(key);
      picture.table = table;
      picture.row = static_cast<int64_t>(set.pictures.size());
      set.pictures.push_back(std::move(picture));
    }
    std::move(rows.captions.begin(), rows.captions.end(), std::back_inserter(set.captions));
    rows = {};
  }
  return set;
}

std::vector<TableRow> read_parquet_rows(const std::string& address) {
  const std::vector<std::string> files = find_all({address});
  const auto [first, where] = open_first(files);
  const bool is_by_file = find_column(*first, "key") == nullptr && find_column(*first, "file_name");
  Columns columns;
  columns.key = is_by_file ? "file_name" : column_of(*first, "key", where).name;
  for (const ParquetColumn& column : first->columns())
    if (column.kind == Kind::kText && column.name != columns.key)
      columns.captions.push_back(column.name);
  check_user(!columns.captions.empty(), where, ": no column of text besides \"", columns.key, "\"");
  std::vector<TableRow> table;
  for (FileRows& rows : read_all(files, columns)) {
    for (TableRow& row : rows.captions) {
      if (is_by_file)
        row["key"] = std::filesystem::path(row["key"].get<std::string>()).stem().string();
      table.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace i1
