// Arrow's cells as JSON values, its schema as a list of dotted names.
#pragma once

#include <arrow/type_fwd.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "i1/tables/parquet_file.h"

namespace i1 {

/// Bytes and text become strings, lists (maps, too) arrays, structs objects, dictionaries what they
/// stand for, and whatever JSON has no form for what Arrow prints.
nlohmann::json json_of_cell(const arrow::Array& array, int64_t row);

/// All fields at all depths, each above those inside it.
std::vector<ParquetColumn> columns_of(const arrow::Schema& schema);

}  // namespace i1
