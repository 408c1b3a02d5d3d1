#include "i1/data/yfcc_database.h"

#include <sqlite3.h>

#include <fstream>

#include "i1/core/error.h"
#include "i1/data/yfcc.h"

namespace i1 {
namespace {

constexpr size_t kHeaderBytes = 100;

std::string header_of(const std::filesystem::path& path) {
  std::string header(kHeaderBytes, '\0');
  std::ifstream(path, std::ios::binary).read(header.data(), std::ssize(header));
  return header;
}

uint64_t big_endian(const std::string& bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = at; i < at + count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// SQLite itself takes what is missing of the last page for zeros.
void check_size(const std::filesystem::path& path) {
  const std::string header = header_of(path);
  const uint64_t page = big_endian(header, 16, 2), num_pages = big_endian(header, 28, 4);
  const bool is_told = big_endian(header, 24, 4) == big_endian(header, 92, 4);
  const uint64_t expected = (page == 1 ? 65536 : page) * num_pages;
  const uint64_t found = std::filesystem::file_size(path);
  check_user(!is_told || found >= expected, path.string(), ": cut off: ", found, " bytes of ",
             expected);
}

}  // namespace

bool is_sqlite(const std::filesystem::path& path) {
  return header_of(path).starts_with("SQLite format 3");
}

void YfccDatabase::Close::operator()(sqlite3* database) const { sqlite3_close(database); }
void YfccDatabase::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

YfccDatabase::YfccDatabase(const std::filesystem::path& path, int64_t shard, int64_t num_shards)
    : where_(path.string()), shard_(shard), num_shards_(num_shards) {
  sqlite3* database = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READONLY, nullptr);
  database_.reset(database);
  check(opened);
  sqlite3_stmt* rows = nullptr;
  const int prepared = sqlite3_prepare_v2(
      database, "SELECT photoid, downloadurl FROM yfcc100m_dataset", -1, &rows, nullptr);
  rows_.reset(rows);
  check(prepared);
  check_size(path);
}

std::optional<FetchEntry> YfccDatabase::next() {
  while (rows_ != nullptr) {
    const int status = sqlite3_step(rows_.get());
    if (status == SQLITE_DONE) {
      rows_ = nullptr;  // a further step would begin again
      break;
    }
    if (status != SQLITE_ROW) check(status);
    ++row_;
    if (yfcc_shard(row_, num_shards_) != shard_) continue;
    std::optional<FetchEntry> entry = yfcc_entry(row_, column(0), column(1));
    if (!entry) {
      ++num_incomplete_;
      continue;
    }
    check_user(is_yfcc_name(entry->name), where_, ": row ", row_, ": ", kYfccNameRule);
    return entry;
  }
  return std::nullopt;
}

void YfccDatabase::check(int status) const {
  check_user(status == SQLITE_OK, where_,
             ": expected an SQLite database with the table yfcc100m_dataset (photoid, "
             "downloadurl): ",
             sqlite3_errmsg(database_.get()));
}

std::string YfccDatabase::column(int index) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(rows_.get(), index));
  const int size = sqlite3_column_bytes(rows_.get(), index);
  return text == nullptr ? "" : std::string(text, static_cast<size_t>(size));
}

}  // namespace i1
