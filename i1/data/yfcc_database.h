// The YFCC100M metadata as it is published: an SQLite database, yfcc100m_dataset.sql.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "i1/data/fetch_list.h"

struct sqlite3;
struct sqlite3_stmt;

namespace i1 {

/// Whether a file begins as SQLite databases do, whatever its name.
bool is_sqlite(const std::filesystem::path& path);

/// Reads the columns photoid and downloadurl of its table yfcc100m_dataset row by row, as
/// FetchListReader reads the same table in CSV: row r belongs to shard
/// r mod num_shards, rows without an
/// id or an address are counted and passed over.
class YfccDatabase {
 public:
  /// Throws UserError where it cannot be read or has no such table or columns.
  YfccDatabase(const std::filesystem::path& path, int64_t shard, int64_t num_shards);

  /// The shard's next entry; nothing at the end. Throws UserError (file, row) for an id that will
  /// not do as a file name and where the database is damaged.
  std::optional<FetchEntry> next();

  int64_t num_incomplete() const { return num_incomplete_; }  ///< of the shard, so far

 private:
  struct Close {
    void operator()(sqlite3* database) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  void check(int status) const;
  std::string column(int index) const;

  const std::string where_;
  const int64_t shard_, num_shards_;
  std::unique_ptr<sqlite3, Close> database_;
  std::unique_ptr<sqlite3_stmt, Close> rows_;
  int64_t row_ = -1, num_incomplete_ = 0;
};

}  // namespace i1
