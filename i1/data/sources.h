// Where raw pictures and their captions come from, and how they are named: the rules by which the
// reference turns folders and tables into data sets.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "i1/core/files.h"
#include "i1/data/split.h"
#include "i1/io/tfrecord.h"

namespace i1 {

class ParquetPictures;

/// A raw picture: a file, a part of one, bytes from a table, or a row of Parquet files.
struct SourcePicture {
  std::string key;
  std::filesystem::path path;        ///< of a file; empty = see `bytes`
  std::optional<std::string> bytes;  ///< of a table; nothing = its row has no picture
  std::optional<Span> part;          ///< the bytes of the file that are it; nothing = all
  std::shared_ptr<ParquetPictures> table = nullptr;  ///< its row number `row` is it; null = above
  int64_t row = 0;
  /// Why it is not to be used, whatever its pixels are; null: nothing is known against it.
  std::shared_ptr<const RecordError> fault = nullptr;
};

/// The encoded picture. Files are mapped: bytes that nobody looks at are not read.
class SourceBytes {
 public:
  /// Throws UserError where there is none or the file cannot be read. The picture must outlive it.
  explicit SourceBytes(const SourcePicture& picture);
  SourceBytes(const SourceBytes&) = delete;
  SourceBytes& operator=(const SourceBytes&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::unique_ptr<MappedFile> file_;
  std::string read_;  // of a row of Parquet files
  std::span<const std::byte> bytes_;
};

/// A copy of them.
std::string read_source(const SourcePicture& picture);

/// Rows of Parquet files in their order, in which alone they are read quickly; other pictures as
/// they come.
std::vector<SourcePicture> in_reading_order(std::vector<SourcePicture> pictures);

/// Where a picture came from, for people: "photos/1.jpg", "photos.tar: 1".
std::string source_name(const SourcePicture& picture);

/// All pictures below a folder (jpg jpeg png webp bmp tif tiff in any case), sorted by path
/// components in the order of their bytes. Links to folders are not followed. The key is the file
/// name without its last extension (two files may share one); below a root whose path contains
/// "places365-challenge2016" it is preceded by the parent folder and "_". Throws UserError where
/// the root is no folder.
std::vector<SourcePicture> list_folder(const std::filesystem::path& root);

/// Which field of a table is the key, which the picture: the first that is there.
inline constexpr std::array kKeyFields = {"image_id", "__key__", "id", "global_id"};
inline constexpr std::array kPictureFields = {"jpg", "webp", "output", "png"};  // after "image"

/// A row of a table: an object whose values are text, numbers, null or (pictures) bytes as text.
using TableRow = nlohmann::json;

/// A value as Python's str() writes it: null is "None", 17 is "17", 17.5 is "17.5".
std::string text_of_cell(const nlohmann::json& cell);

/// The key of a row: the first field present of image_id, __key__, id, global_id, as text. Throws
/// UserError where there is none of them.
std::string table_key(const TableRow& row, const std::string& where);

/// The picture of a row: `image` if it is there and not null, else the first present of jpg, webp,
/// output, png, even if that is null.
std::optional<std::string> table_picture(const TableRow& row);

/// Captions by key, from a table with a column `key` and caption columns. Where a key comes again
/// the last value of each column that is not null wins, column by column. A list holds several
/// captions; one without any is as null.
class CaptionTable {
 public:
  /// Throws UserError where a row has no key, or where no row has one of `columns` (naming the
  /// nearest).
  CaptionTable(const std::vector<TableRow>& rows, const std::vector<std::string>& columns,
               const std::string& where);

  /// The captions in the order of the columns asked for; nothing where one of them is missing. ""
  /// is a caption, null is none.
  std::optional<std::vector<std::string>> find(const std::string& key) const;

 private:
  size_t num_columns_;
  std::unordered_map<std::string, std::vector<std::vector<std::string>>> captions_;  // by column
};

/// Calls visit(object, "FILE, line N") for every line of a file of JSON objects; blank lines are
/// ignored. Throws UserError (file, line) where a line is no object.
void for_each_json_line(const std::filesystem::path& path,
                        const std::function<void(TableRow, const std::string& where)>& visit);

/// Shorter edges by key, from JSON lines {image_name, short_edge}: blank lines are ignored, the
/// last entry of a key wins, other fields are ignored. Throws UserError (file, line) where one of
/// the two is missing or the edge is no number.
std::unordered_map<std::string, int64_t> read_shape_metadata(const std::filesystem::path& path);

/// A uniform sample of a stream of unknown length: the first `limit` items fill it; for the t-th
/// after them `draw(t)` gives r in [0, t), and the item replaces number r if r < limit.
class Reservoir {
 public:
  using Draw = std::function<int64_t(int64_t range)>;
  Reservoir(int64_t limit, Draw draw) : limit_(limit), draw_(std::move(draw)) {}

  void add(int64_t item);
  const std::vector<int64_t>& sample() const { return sample_; }
  int64_t total() const { return total_; }

 private:
  int64_t limit_, total_ = 0;
  Draw draw_;
  std::vector<int64_t> sample_;
};

}  // namespace i1
