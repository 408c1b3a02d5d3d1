// The pictures of a set of Parquet files, read as they are asked for.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "i1/tables/parquet_file.h"

namespace i1 {

/// What a row says of its picture: its bytes, or where it lies.
struct ParquetPicture {
  std::string bytes, address;  ///< both empty: the row has none
};

/// Rows are numbered through all files. One file is open at a time, and only a few rows are held:
/// made for rows that are asked for in their order, or nearly so, by any number of threads. Other
/// orders give the same pictures, slowly.
class ParquetPictures {
 public:
  /// `begins`: the first row of each file, and the end. `columns`: where a picture is looked for,
  /// in order: bytes, {bytes, path}, or text that is a path (relative to the file) or an address.
  ParquetPictures(std::vector<std::string> files, std::vector<int64_t> begins,
                  std::vector<std::string> columns);

  /// The encoded picture. Throws UserError where the row has none (naming it by `key`) or what it
  /// names cannot be read; Failure where the Parquet file itself is damaged or cannot be reached.
  std::string read(int64_t row, const std::string& key);

 private:
  ParquetPicture take(int64_t row);
  void read_on(int64_t end);
  void open(size_t file);

  const std::vector<std::string> files_;
  const std::vector<int64_t> begins_;
  const std::vector<std::string> columns_;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<ParquetFile> open_;
  size_t open_file_ = 0;
  int64_t next_ = 0;  // row after the last one read
  std::map<int64_t, ParquetPicture> held_;
};

/// The picture of a row: the first of `columns` that is not null.
ParquetPicture picture_of_row(const nlohmann::json& row, const std::vector<std::string>& columns,
                              const std::vector<ParquetColumn>& schema);

}  // namespace i1
