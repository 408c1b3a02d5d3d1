#include "i1/data/rows.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "i1/core/error.h"
#include "i1/io/safetensors.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensorName = "rows";
constexpr size_t kHeaderBytes = 256;   // with its length; padded with spaces, as the format allows
constexpr int64_t kMaxSide = 1 << 20;  // of a row: three of them do not overflow
constexpr size_t kBufferBytes = size_t{1} << 20;

std::string dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBFloat16:
      return "BF16";
    case at::kLong:
      return "I64";
    case at::kInt:
      return "I32";
    case at::kByte:
      return "U8";
    default:
      throw Failure(concat("tables of ", dtype, " are not supported"));
  }
}

int64_t bytes_of_row(at::ScalarType dtype, const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), static_cast<int64_t>(c10::elementSize(dtype)),
                         std::multiplies<>());
}

fs::path file_path(const fs::path& folder, const std::string& name, int64_t file) {
  char number[32];
  std::snprintf(number, sizeof number, "-%05lld", static_cast<long long>(file));
  return folder / (name + number + ".safetensors");
}

std::string safetensors_header(const RowLayout& layout, int64_t num_rows, int64_t row_bytes) {
  std::vector<int64_t> shape = {num_rows};
  shape.insert(shape.end(), layout.row_shape.begin(), layout.row_shape.end());
  const nlohmann::json json = {
      {kTensorName,
       {{"dtype", layout.dtype}, {"shape", shape}, {"data_offsets", {0, num_rows * row_bytes}}}}};
  std::string text = json.dump();
  check_machine(text.size() + 8 <= kHeaderBytes, "a table's header has ", text.size(), " bytes");
  text.resize(kHeaderBytes - 8, ' ');
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text;
}

}  // namespace

RowWriter::RowWriter(fs::path folder, std::string name, at::ScalarType dtype,
                     std::vector<int64_t> row_shape, int64_t max_file_bytes)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      dtype_(dtype),
      row_bytes_(bytes_of_row(dtype, row_shape)),
      layout_{dtype_name(dtype), std::move(row_shape), 0,
              std::max<int64_t>(1, max_file_bytes / std::max<int64_t>(1, row_bytes_))} {}

RowWriter::~RowWriter() = default;

void RowWriter::append(const at::Tensor& rows) {
  check_machine(rows.dim() > 0 && rows.sizes().slice(1).equals(layout_.row_shape), name_,
                ": rows of shape ", rows.sizes(), ", expected (n, ",
                at::IntArrayRef(layout_.row_shape), ")");
  const at::Tensor own = rows.to(at::kCPU, dtype_).contiguous();
  append(own.const_data_ptr(), own.size(0));
}

void RowWriter::append(const void* rows, int64_t count) {
  const char* next = static_cast<const char*>(rows);
  while (count > 0) {
    if (!file_) {
      file_ = std::make_unique<AtomicFile>(file_path(folder_, name_, num_files_++));
      buffer_.assign(kHeaderBytes, ' ');  // overwritten when the number of rows is known
    }
    const int64_t here = std::min(count, layout_.rows_per_file - rows_in_file_);
    const auto num_bytes = static_cast<size_t>(here * row_bytes_);
    if (buffer_.size() + num_bytes > kBufferBytes) flush();
    if (num_bytes > kBufferBytes) {
      file_->write(next, num_bytes);
    } else {
      buffer_.append(next, num_bytes);
    }
    next += num_bytes;
    count -= here;
    layout_.num_rows += here;
    rows_in_file_ += here;
    if (rows_in_file_ == layout_.rows_per_file) finish_file();
  }
}

void RowWriter::flush() {
  file_->write(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void RowWriter::finish_file() {
  flush();
  const std::string header = safetensors_header(layout_, rows_in_file_, row_bytes_);
  file_->write_at(0, header.data(), header.size());
  file_->commit();
  file_.reset();
  rows_in_file_ = 0;
}

RowLayout RowWriter::close() {
  if (file_) finish_file();
  return layout_;
}

RowReader::RowReader(const fs::path& folder, const std::string& name, const RowLayout& layout,
                     at::ScalarType dtype)
    : where_((folder / name).string()), layout_(layout), dtype_(dtype) {
  const auto is_size = [](int64_t size) { return size >= 0 && size <= kMaxSide; };
  check_user(layout.row_shape.size() <= 3 &&
                 std::all_of(layout.row_shape.begin(), layout.row_shape.end(), is_size),
             where_, ": rows of shape ", at::IntArrayRef(layout.row_shape));
  row_bytes_ = bytes_of_row(dtype, layout.row_shape);
  check_user(layout.dtype == dtype_name(dtype) && layout.num_rows >= 0 && layout.rows_per_file > 0,
             where_, ": ", layout.num_rows, " rows of ", layout.dtype, ", ", layout.rows_per_file,
             " a file; expected ", dtype_name(dtype));
  for (int64_t begin = 0; begin < layout.num_rows; begin += layout.rows_per_file) {
    const fs::path path = file_path(folder, name, begin / layout.rows_per_file);
    std::vector<int64_t> shape = {std::min(layout.rows_per_file, layout.num_rows - begin)};
    shape.insert(shape.end(), layout.row_shape.begin(), layout.row_shape.end());
    const TensorMap tensors = read_safetensors(path).tensors;
    const auto found = tensors.find(kTensorName);
    check_user(found != tensors.end(), path.string(), ": no tensor \"", kTensorName, "\"");
    check_user(found->second.sizes().equals(shape) && found->second.scalar_type() == dtype,
               path.string(), ": ", found->second.scalar_type(), " of shape ",
               found->second.sizes(), ", expected ", dtype, " of ", at::IntArrayRef(shape));
    files_.push_back(found->second);
  }
}

void RowReader::check_range(int64_t begin, int64_t count) const {
  check_user(begin >= 0 && count >= 0 && begin <= layout_.num_rows - count, where_, ": ", count,
             " rows from row ", begin, " of ", layout_.num_rows,
             " are asked for; the table or the one that points to it is damaged");
}

at::Tensor RowReader::rows(int64_t begin, int64_t count) const {
  check_range(begin, count);
  if (count > 0) {
    const int64_t file = begin / layout_.rows_per_file, first = begin % layout_.rows_per_file;
    if (first + count <= layout_.rows_per_file)
      return files_[static_cast<size_t>(file)].narrow(0, first, count);
  }
  std::vector<int64_t> shape = {count};
  shape.insert(shape.end(), layout_.row_shape.begin(), layout_.row_shape.end());
  at::Tensor copy = at::empty(shape, dtype_);
  read(begin, count, copy.data_ptr());
  return copy;
}

void RowReader::read(int64_t begin, int64_t count, void* out) const {
  check_range(begin, count);
  char* next = static_cast<char*>(out);
  while (count > 0) {
    const int64_t file = begin / layout_.rows_per_file, first = begin % layout_.rows_per_file;
    const int64_t here = std::min(count, layout_.rows_per_file - first);
    const auto* bytes =
        static_cast<const char*>(files_[static_cast<size_t>(file)].const_data_ptr());
    std::memcpy(next, bytes + first * row_bytes_, static_cast<size_t>(here * row_bytes_));
    next += here * row_bytes_;
    begin += here;
    count -= here;
  }
}

}  // namespace i1
