// Pictures with captions in Parquet files, in the layouts of public sets: a picture and its
// captions in each row.
#pragma once

#include <string>
#include <vector>

#include "i1/data/sources.h"

namespace i1 {

/// Columns are dotted names (ParquetColumn).
struct ParquetSetOptions {
  std::vector<std::string> addresses;  ///< files or folders: local, http(s)://, s3://, gs://
  std::string key;      ///< empty: as table_key has it; where there is no such column FILE_ROW
  std::string picture;  ///< empty: as table_picture has it
  /// Of captions. Empty: those of text whose last name says so: with "caption" in it, else text,
  /// prompt or description.
  std::vector<std::string> captions;
  bool read_captions = true;  ///< false: they are in another table
};

struct ParquetSet {
  std::vector<SourcePicture> pictures;  ///< rows in their order, none of them read yet
  std::vector<TableRow> captions;  ///< "key" and the columns `columns`, null where there is none
  std::vector<std::string> columns;
  bool has_key_column = true;
};

/// Reads footers, keys and captions, several files at a time. Throws UserError where a file has not
/// the columns of the first one or what is asked for (naming the nearest), where a column is of a
/// type that will not do, or there is no row; and as open_parquet does.
ParquetSet list_parquet(const ParquetSetOptions& options);

/// A table of captions: "key" (or the "file_name" without folders and extension) and all other
/// columns of text, or lists of it. Throws as above.
std::vector<TableRow> read_parquet_rows(const std::string& address);

}  // namespace i1
