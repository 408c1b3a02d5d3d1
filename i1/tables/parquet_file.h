// Parquet files, near and far, read row by row: only the columns that are asked for, never a whole
// file or a whole row group at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace i1 {

/// A field at any depth. Names of nested ones are joined by points and lists add nothing to them:
/// "image.bytes", "conversations.caption".
struct ParquetColumn {
  enum class Kind { kText, kBytes, kNumber, kStruct, kNothing, kOther };  // kNothing: all null

  std::string name;
  Kind kind = Kind::kOther;  ///< of its values, or of those in its lists
  bool is_list = false;      ///< it or a field above it
  std::string type;          ///< for messages
};

class ParquetFile {
 public:
  virtual ~ParquetFile() = default;

  virtual const std::vector<ParquetColumn>& columns() const = 0;
  virtual int64_t num_rows() const = 0;

  /// The columns that `read` gives from here on: names of `columns`, with all below them.
  virtual void choose(const std::vector<std::string>& names) = 0;

  /// Rows `begin` to `end`, each an object that nests as the schema does: bytes are strings, lists
  /// arrays, dates and the like what Arrow prints. Rows that follow those of the last call are
  /// gone on to; others begin at their row group. Throws UserError where the file is damaged.
  virtual std::vector<nlohmann::json> read(int64_t begin, int64_t end) = 0;
};

/// Reads the footer of a local file, an http(s)://, s3:// or gs:// address. Throws UserError where
/// it is not there, is no Parquet file, or this build is without Arrow; Failure for the network.
std::unique_ptr<ParquetFile> open_parquet(const std::string& address);

/// The Parquet files of a set: those below a folder (local, s3://, gs://) whose name ends in
/// .parquet, by name, or the one file. Throws UserError where there is none.
std::vector<std::string> find_parquet(const std::string& address);

/// The values at a dotted name of a row, through lists, in their order; those that are null or
/// absent are passed over.
std::vector<const nlohmann::json*> values_at(const nlohmann::json& row, const std::string& name);

}  // namespace i1
