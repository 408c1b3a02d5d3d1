#include "i1/data/yfcc_database.h"

#include <sqlite3.h>

#include <fstream>

#include "i1/core/error.h"
#include "i1/data/yfcc.h"

namespace i1 {

bool is_sqlite(const std::filesystem::path& path) {
  constexpr std::string_view kBegin = "SQLite format 3";
  std::string begin(kBegin.size(), '\0');
  std::ifstream(path, std::ios::binary).read(begin.data(), std::ssize(begin));
  return begin == kBegin;
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
}

std::optional<FetchEntry> YfccDatabase::next() {
  for (;;) {
    const int status = sqlite3_step(rows_.get());
    if (status == SQLITE_DONE) return std::nullopt;
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
