// Lists of pictures to fetch: addresses, names with addresses, or the YFCC100M table.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "i1/data/split.h"

namespace i1 {

struct FetchEntry {
  int64_t row = 0;        ///< counted from 0; a table's header is none
  std::string name;       ///< relative path without an extension, free of ".."
  std::string extension;  ///< empty: as the content says
  std::string address;
};

/// Reads a list line by line, of which each is one of
///   ADDRESS             named "<row / 10000>/<row>"
///   NAME<TAB>ADDRESS
/// or, below a first line with the columns photoid and downloadurl (CSV, quotes as RFC 4180 has
/// them, no line breaks inside), a row of the YFCC100M table, addressed and named by
/// i1/data/yfcc.h. Row r belongs to shard r mod count. Blank lines count as rows and are passed
/// over, and so are rows of the table without an id or an address.
class FetchListReader {
 public:
  /// `where` opens the messages. Throws UserError as `next` does.
  FetchListReader(std::istream& in, std::string where, WorkPart shard);

  /// The shard's next entry; nothing at the end. Throws UserError (file, line) for a line that is
  /// none of the above, in whatever shard.
  std::optional<FetchEntry> next();

  int64_t num_incomplete() const { return num_incomplete_; }  ///< of the shard, so far

 private:
  bool read_line();
  std::optional<FetchEntry> parse_line();
  std::optional<FetchEntry> parse_table_row();
  void check_line(bool ok, std::string_view problem) const;

  std::istream& in_;
  std::string where_, line_;
  WorkPart shard_;
  int64_t line_number_ = 0, row_ = -1, num_incomplete_ = 0;
  bool has_line_ = false;  // the first, read to see whether it is a table's header
  size_t id_column_ = 0, address_column_ = 0, num_columns_ = 0;  // 0 columns: no table
};

/// The entry of a row of the YFCC100M table; nothing where the id or the address is blank.
std::optional<FetchEntry> yfcc_entry(int64_t row, const std::string& photoid,
                                     const std::string& address);

/// Whether the name of such an entry will do as a file's.
bool is_yfcc_name(const std::string& name);
inline constexpr const char* kYfccNameRule =
    "photoid: expected a name without slashes, of up to 200 bytes";

/// The fields of a line of CSV; nothing where a quote is not closed or followed by other text.
std::optional<std::vector<std::string>> split_csv(std::string_view line);

}  // namespace i1
