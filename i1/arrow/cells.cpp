#include "i1/arrow/cells.h"

#include <arrow/api.h>

namespace i1 {
namespace {

using arrow::Type;
using nlohmann::json;
using Kind = ParquetColumn::Kind;

template <class ArrayType>
const ArrayType& as(const arrow::Array& array) {
  return static_cast<const ArrayType&>(array);
}

template <class ArrayType>
json text_of(const arrow::Array& array, int64_t row) {
  return std::string(as<ArrayType>(array).GetView(row));
}

template <class ArrayType>
json list_of(const arrow::Array& array, int64_t row) {
  const auto& lists = as<ArrayType>(array);
  json list = json::array();
  const int64_t begin = lists.value_offset(row), end = begin + lists.value_length(row);
  for (int64_t i = begin; i < end; ++i) list.push_back(json_of_cell(*lists.values(), i));
  return list;
}

json struct_of(const arrow::Array& array, int64_t row) {
  const auto& fields = as<arrow::StructArray>(array);
  json object = json::object();
  for (int i = 0; i < fields.num_fields(); ++i)
    object[fields.struct_type()->field(i)->name()] = json_of_cell(*fields.field(i), row);
  return object;
}

json printed(const arrow::Array& array, int64_t row) {
  const auto scalar = array.GetScalar(row);
  return scalar.ok() ? json((*scalar)->ToString()) : json(nullptr);
}

json number_of(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case Type::INT8:
      return as<arrow::Int8Array>(array).Value(row);
    case Type::UINT8:
      return as<arrow::UInt8Array>(array).Value(row);
    case Type::INT16:
      return as<arrow::Int16Array>(array).Value(row);
    case Type::UINT16:
      return as<arrow::UInt16Array>(array).Value(row);
    case Type::INT32:
      return as<arrow::Int32Array>(array).Value(row);
    case Type::UINT32:
      return as<arrow::UInt32Array>(array).Value(row);
    case Type::INT64:
      return as<arrow::Int64Array>(array).Value(row);
    case Type::UINT64:
      return as<arrow::UInt64Array>(array).Value(row);
    case Type::FLOAT:
      return as<arrow::FloatArray>(array).Value(row);
    case Type::DOUBLE:
      return as<arrow::DoubleArray>(array).Value(row);
    default:
      return printed(array, row);
  }
}

Kind kind_of(const arrow::DataType& type) {
  switch (type.id()) {
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::STRING_VIEW:
      return Kind::kText;
    case Type::BINARY:
    case Type::LARGE_BINARY:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return Kind::kBytes;
    case Type::STRUCT:
      return Kind::kStruct;
    case Type::NA:
      return Kind::kNothing;
    case Type::DICTIONARY:
      return kind_of(*static_cast<const arrow::DictionaryType&>(type).value_type());
    default:
      return arrow::is_primitive(type.id()) ? Kind::kNumber : Kind::kOther;
  }
}

void add_columns(const arrow::Field& field, const std::string& above, bool is_list,
                 std::vector<ParquetColumn>& columns) {
  ParquetColumn column{above + field.name(), Kind::kOther, is_list, field.type()->ToString()};
  std::shared_ptr<arrow::DataType> type = field.type();
  for (;;) {
    if (type->id() == Type::EXTENSION) {
      type = static_cast<const arrow::ExtensionType&>(*type).storage_type();
    } else if (arrow::is_list_like(type->id())) {
      type = static_cast<const arrow::BaseListType&>(*type).value_type();
      column.is_list = true;
    } else {
      break;
    }
  }
  column.kind = kind_of(*type);
  const std::string inside = column.name + ".";
  const bool is_in_list = column.is_list;
  columns.push_back(std::move(column));
  if (type->id() != Type::STRUCT) return;
  for (const auto& inner : type->fields()) add_columns(*inner, inside, is_in_list, columns);
}

}  // namespace

json json_of_cell(const arrow::Array& array, int64_t row) {
  if (array.IsNull(row)) return nullptr;
  switch (array.type_id()) {
    case Type::BOOL:
      return as<arrow::BooleanArray>(array).Value(row);
    case Type::STRING:
    case Type::BINARY:
      return text_of<arrow::BinaryArray>(array, row);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return text_of<arrow::LargeBinaryArray>(array, row);
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
      return text_of<arrow::BinaryViewArray>(array, row);
    case Type::FIXED_SIZE_BINARY:
      return text_of<arrow::FixedSizeBinaryArray>(array, row);
    case Type::LIST:
    case Type::MAP:
      return list_of<arrow::ListArray>(array, row);
    case Type::LARGE_LIST:
      return list_of<arrow::LargeListArray>(array, row);
    case Type::FIXED_SIZE_LIST:
      return list_of<arrow::FixedSizeListArray>(array, row);
    case Type::STRUCT:
      return struct_of(array, row);
    case Type::DICTIONARY: {
      const auto& dictionary = as<arrow::DictionaryArray>(array);
      return json_of_cell(*dictionary.dictionary(), dictionary.GetValueIndex(row));
    }
    case Type::EXTENSION:
      return json_of_cell(*as<arrow::ExtensionArray>(array).storage(), row);
    default:
      return number_of(array, row);
  }
}

std::vector<ParquetColumn> columns_of(const arrow::Schema& schema) {
  std::vector<ParquetColumn> columns;
  for (const auto& field : schema.fields()) add_columns(*field, "", false, columns);
  return columns;
}

}  // namespace i1
