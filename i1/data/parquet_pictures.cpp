#include "i1/data/parquet_pictures.h"

#include <algorithm>

#include "i1/core/error.h"
#include "i1/tables/addresses.h"

namespace i1 {
namespace {

using nlohmann::json;
using Kind = ParquetColumn::Kind;

constexpr int64_t kRowsAhead = 16;        // read at once
constexpr int64_t kRowsBehind = 256;      // as far as threads may be apart
constexpr size_t kHeldBytes = 256 << 20;  // of rows that nobody asks for, above which
constexpr size_t kHeldRows = 64;          // only these are kept
constexpr int64_t kMaxPictureBytes = 1 << 30;

Kind kind_of(const std::vector<ParquetColumn>& schema, const std::string& name) {
  for (const ParquetColumn& column : schema)
    if (column.name == name) return column.kind;
  return Kind::kOther;
}

}  // namespace

ParquetPicture picture_of_row(const json& row, const std::vector<std::string>& columns,
                              const std::vector<ParquetColumn>& schema) {
  for (const std::string& column : columns) {
    const std::vector<const json*> values = values_at(row, column);
    if (values.empty()) continue;
    const json& value = *values.front();
    if (value.is_object()) {  // Hugging Face's Image: bytes go before the path
      for (const char* field : {"bytes", "path"}) {
        const auto found = value.find(field);
        if (found == value.end() || !found->is_string()) continue;
        const std::string text = found->get<std::string>();
        return field[0] == 'b' ? ParquetPicture{text, ""} : ParquetPicture{"", text};
      }
      continue;
    }
    if (!value.is_string()) continue;
    if (kind_of(schema, column) == Kind::kBytes) return {value.get<std::string>(), ""};
    return {"", value.get<std::string>()};
  }
  return {};
}

ParquetPictures::ParquetPictures(std::vector<std::string> files, std::vector<int64_t> begins,
                                 std::vector<std::string> columns)
    : files_(std::move(files)), begins_(std::move(begins)), columns_(std::move(columns)) {}

std::string ParquetPictures::read(int64_t row, const std::string& key) {
  ParquetPicture picture;
  try {
    picture = take(row);
  } catch (const UserError& error) {  // not the fault of one picture: ends the work
    throw Failure(error.what());
  }
  check_user(!picture.bytes.empty() || !picture.address.empty(), key, ": the row has no picture");
  if (picture.address.empty()) return std::move(picture.bytes);
  try {
    return read_address(picture.address, kMaxPictureBytes);
  } catch (const Failure& failure) {  // one host that is gone: only this picture is
    throw UserError(failure.what());
  }
}

ParquetPicture ParquetPictures::take(int64_t row) {
  const std::lock_guard lock(mutex_);
  if (!held_.contains(row)) {
    const bool is_near = row >= next_ && row - next_ < kRowsBehind && open_ != nullptr;
    if (!is_near) {
      held_.clear();
      next_ = row;
    }
    read_on(row + 1);
  }
  return std::move(held_.extract(row).mapped());
}

// Reads rows up to `end` and a few more of the last one's file.
void ParquetPictures::read_on(int64_t end) {
  while (next_ < end) {
    const auto above = std::upper_bound(begins_.begin(), begins_.end(), next_);
    open(static_cast<size_t>(above - begins_.begin()) - 1);
    const int64_t begin = next_, file_begin = begins_[open_file_];
    const int64_t stop = std::min(std::max(begin + kRowsAhead, end), *above);
    std::vector<json> rows = open_->read(begin - file_begin, stop - file_begin);
    for (const json& row : rows) {
      ParquetPicture picture = picture_of_row(row, columns_, open_->columns());
      if (!picture.address.empty())
        picture.address = relative_to(files_[open_file_], picture.address);
      held_.emplace(next_++, std::move(picture));
    }
  }
  size_t num_bytes = 0;
  for (const auto& [row, picture] : held_) num_bytes += picture.bytes.size();
  while (!held_.empty() && held_.begin()->first < end - 1 &&
         (held_.begin()->first < end - kRowsBehind ||
          (num_bytes > kHeldBytes && held_.size() > kHeldRows))) {
    num_bytes -= held_.begin()->second.bytes.size();
    held_.erase(held_.begin());
  }
}

void ParquetPictures::open(size_t file) {
  if (open_ != nullptr && open_file_ == file) return;
  open_ = open_parquet(files_[file]);
  open_->choose(columns_);
  open_file_ = file;
}

}  // namespace i1
