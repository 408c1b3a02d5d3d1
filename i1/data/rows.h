// Tables of equal rows on disk, too large for memory: NAME-00000.safetensors, NAME-00001..., each
// with one tensor "rows" (n, row_shape...) of at most `max_file_bytes`. Written row by row, read at
// any place.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "i1/core/files.h"

namespace i1 {

/// What a reader must know of a table; stored by whoever owns it.
struct RowLayout {
  std::string dtype;  ///< as safetensors writes it: "BF16", "I64", "I32", "U8"
  std::vector<int64_t> row_shape;
  int64_t num_rows = 0;
  int64_t rows_per_file = 0;

  static void fields(auto& self, auto&& visit) {
    visit("dtype", self.dtype);
    visit("row_shape", self.row_shape);
    visit("num_rows", self.num_rows);
    visit("rows_per_file", self.rows_per_file);
  }
};

inline constexpr int64_t kMaxRowFileBytes = int64_t{1} << 30;

class RowWriter {
 public:
  /// Files appear in `folder` as they fill up.
  RowWriter(std::filesystem::path folder, std::string name, at::ScalarType dtype,
            std::vector<int64_t> row_shape, int64_t max_file_bytes = kMaxRowFileBytes);
  ~RowWriter();

  /// rows: (n, row_shape...) of any dtype and device. Throws Failure where the disk is full.
  void append(const at::Tensor& rows);
  /// The same from memory, in the table's own dtype.
  void append(const void* rows, int64_t count);
  /// Finishes the last file. Without it that file does not appear.
  RowLayout close();

  int64_t num_rows() const { return layout_.num_rows; }

 private:
  void flush();
  void finish_file();

  const std::filesystem::path folder_;
  const std::string name_;
  const at::ScalarType dtype_;
  const int64_t row_bytes_;
  RowLayout layout_;
  int64_t num_files_ = 0, rows_in_file_ = 0;
  std::unique_ptr<AtomicFile> file_;
  std::string buffer_;
};

class RowReader {
 public:
  /// Maps the files. Throws UserError where one is missing or does not fit `layout`, or where the
  /// rows are not of `dtype`.
  RowReader(const std::filesystem::path& folder, const std::string& name, const RowLayout& layout,
            at::ScalarType dtype);

  int64_t num_rows() const { return layout_.num_rows; }
  const std::vector<int64_t>& row_shape() const { return layout_.row_shape; }

  /// Rows begin..begin+count: a view where they lie in one file, else a copy. Throws UserError
  /// where they leave the table (what points to them is damaged).
  at::Tensor rows(int64_t begin, int64_t count) const;

  /// Copies them to `out`.
  void read(int64_t begin, int64_t count, void* out) const;

  /// Throws as the two do.
  void check_range(int64_t begin, int64_t count) const;

 private:
  std::string where_;
  RowLayout layout_;
  at::ScalarType dtype_;
  int64_t row_bytes_ = 0;
  std::vector<at::Tensor> files_;
};

}  // namespace i1
