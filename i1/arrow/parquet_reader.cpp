// Memory: a page of each column and a few rows. Arrow would else hold the chosen columns of a whole
// row group, which for pictures can be gigabytes.
#include "i1/arrow/parquet_reader.h"

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <algorithm>

#include "i1/arrow/cells.h"
#include "i1/arrow/file_systems.h"
#include "i1/arrow/status.h"

namespace i1 {
namespace {

using nlohmann::json;

constexpr int64_t kRowsAtOnce = 16;
constexpr int64_t kLocalBuffer = 1 << 20, kRemoteBuffer = 8 << 20;  // bytes read at once

// The dotted name of a leaf, without what lists add to it ("list.element", "bag.array_element").
std::string leaf_name(const parquet::ColumnDescriptor& leaf) {
  std::vector<std::string> names;
  const parquet::schema::Node* node = leaf.schema_node().get();
  for (; node->parent() != nullptr; node = node->parent()) {
    const parquet::schema::Node* above = node->parent();
    const bool is_repetition =
        node->is_repeated() && (above->converted_type() == parquet::ConvertedType::LIST ||
                                above->converted_type() == parquet::ConvertedType::MAP);
    const bool is_element = above->is_repeated() && above->parent() != nullptr &&
                            above->parent()->converted_type() == parquet::ConvertedType::LIST;
    if (!is_element && !is_repetition) names.push_back(node->name());
  }
  std::string name;
  for (auto part = names.rbegin(); part != names.rend(); ++part)
    name += (name.empty() ? "" : ".") + *part;
  return name;
}

class ArrowParquetFile : public ParquetFile {
 public:
  ArrowParquetFile(const std::string& address, std::string where, const ByteSource* bytes)
      : where_(std::move(where)), file_(open_file(address, where_, bytes)) {
    const bool is_remote = bytes != nullptr || address.find("://") != std::string::npos;
    parquet::ReaderProperties reading = parquet::default_reader_properties();
    reading.enable_buffered_stream();
    reading.set_buffer_size(is_remote ? kRemoteBuffer : kLocalBuffer);
    reading.set_page_checksum_verification(true);
    parquet::ArrowReaderProperties rows(/*use_threads=*/false);
    rows.set_batch_size(kRowsAtOnce);
    rows.set_pre_buffer(false);
    parquet::arrow::FileReaderBuilder builder;
    check(builder.Open(file_, reading));
    reader_ = take(builder.properties(rows)->Build());
    std::shared_ptr<arrow::Schema> schema;
    check(reader_->GetSchema(&schema));
    columns_ = columns_of(*schema);
    begins_.push_back(0);
    const auto& metadata = *reader_->parquet_reader()->metadata();
    for (int i = 0; i < metadata.num_row_groups(); ++i)
      begins_.push_back(begins_.back() + metadata.RowGroup(i)->num_rows());
  }

  const std::vector<ParquetColumn>& columns() const override { return columns_; }
  int64_t num_rows() const override { return begins_.back(); }

  void choose(const std::vector<std::string>& names) override {
    leaves_.clear();
    batches_ = nullptr;
    const auto& schema = *reader_->parquet_reader()->metadata()->schema();
    for (int i = 0; i < schema.num_columns(); ++i) {
      const std::string leaf = leaf_name(*schema.Column(i));
      for (const std::string& name : names) {
        if (leaf != name && !leaf.starts_with(name + ".")) continue;
        leaves_.push_back(i);
        break;
      }
    }
  }

  std::vector<json> read(int64_t begin, int64_t end) override {
    std::vector<json> rows;
    for (int64_t row = begin; row < end; ++row) {
      go_to(row);
      rows.push_back(json_of_row(row - batch_begin_));
    }
    return rows;
  }

 private:
  void check(const arrow::Status& status) {
    rethrow_source(*file_);
    if (status.IsIOError() && status.message().find("CRC") == std::string::npos)
      check_arrow(status, where_);
    check_arrow(status.ok() ? status : arrow::Status::Invalid(status.message()), where_);
  }

  template <class Value>
  Value take(arrow::Result<Value> result) {
    check(result.status());
    return std::move(result).ValueUnsafe();
  }

  // Makes the batch that holds a row the current one.
  void go_to(int64_t row) {
    const auto group = std::upper_bound(begins_.begin(), begins_.end(), row) - begins_.begin() - 1;
    if (batches_ == nullptr || group != group_ || row < batch_begin_) {
      batch_ = nullptr;
      batches_ = take(reader_->GetRecordBatchReader({static_cast<int>(group)}, leaves_));
      group_ = group;
      batch_begin_ = begins_[static_cast<size_t>(group)];
    }
    while (batch_ == nullptr || row >= batch_begin_ + batch_->num_rows()) {
      if (batch_ != nullptr) batch_begin_ += batch_->num_rows();
      check(batches_->ReadNext(&batch_));
      check_user(batch_ != nullptr, where_, ": row group ", group_, " ends before row ", row,
                 "; damaged");
    }
  }

  json json_of_row(int64_t row) const {
    json object = json::object();
    for (int i = 0; i < batch_->num_columns(); ++i)
      object[batch_->column_name(i)] = json_of_cell(*batch_->column(i), row);
    return object;
  }

  const std::string where_;
  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::vector<ParquetColumn> columns_;
  std::vector<int64_t> begins_;  // the first row of each group, and the end
  std::vector<int> leaves_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;  // of the group number group_
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t group_ = -1, batch_begin_ = 0;
};

}  // namespace

std::unique_ptr<ParquetFile> open_with_arrow(const std::string& address, const std::string& where,
                                             const ByteSource* bytes) {
  return std::make_unique<ArrowParquetFile>(address, where, bytes);
}

}  // namespace i1
