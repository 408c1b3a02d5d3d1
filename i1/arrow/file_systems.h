// Files as Arrow reads them: local ones, those of s3:// and gs://, and those that others read for
// it.
#pragma once

#include <arrow/io/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "i1/tables/arrow_library.h"

namespace i1 {

/// The file of ArrowLibrary::open. What `bytes` throws comes out of the reader's next
/// `rethrow_source`.
std::shared_ptr<arrow::io::RandomAccessFile> open_file(const std::string& address,
                                                       const std::string& where,
                                                       const ByteSource* bytes);

/// Throws on, once, what the ByteSource of a file threw.
void rethrow_source(arrow::io::RandomAccessFile& file);

std::vector<std::string> list_parquet_files(const std::string& address, const std::string& where);
std::string read_whole_file(const std::string& address, const std::string& where,
                            int64_t max_bytes);

}  // namespace i1
