#include "i1/io/npz.h"

#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "i1/core/error.h"

namespace i1 {
namespace {

constexpr std::string_view kSuffix = ".npy", kMagic = "\x93NUMPY";
constexpr size_t kLongestHeader = 1 << 20, kMaxDims = 64;

at::ScalarType parse_dtype(std::string_view descr, const std::string& where) {
  static const std::vector<std::pair<std::string_view, at::ScalarType>> names = {
      {"<f8", at::kDouble},   {"<f4", at::kFloat}, {"<f2", at::kHalf}, {"<V2", at::kBFloat16},
      {"|V2", at::kBFloat16}, {"<i8", at::kLong},  {"<i4", at::kInt},  {"<i2", at::kShort},
      {"|i1", at::kChar},     {"|u1", at::kByte},  {"|b1", at::kBool}};
  for (const auto& [name, dtype] : names) {
    if (name == descr) return dtype;
  }
  throw UserError(concat(where, ": type \"", descr,
                         "\" is not read; expected one of <f8, <f4, <f2, |V2 (bfloat16), <i8..|i1, "
                         "|u1, |b1"));
}

struct NpyHeader {
  TensorInfo info;
  bool is_fortran = false;  // first index fastest
};

// The header is a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader parse() {
    std::optional<at::ScalarType> dtype;
    std::optional<bool> is_fortran;
    std::optional<std::vector<int64_t>> shape;
    expect('{');
    while (!take('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        dtype = parse_dtype(quoted(), where_);
      } else if (key == "fortran_order") {
        is_fortran = boolean();
      } else if (key == "shape") {
        shape = tuple();
      } else {
        fail();
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (!dtype || !is_fortran || !shape) fail();
    return {{*dtype, *shape}, *is_fortran};
  }

 private:
  [[noreturn]] void fail() const {
    throw UserError(where_ +
                    ": its header is not that of a .npy file with descr, fortran_order and "
                    "shape; damaged, or a type that is not read");
  }

  bool take(char wanted) {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
    if (text_.empty() || text_.front() != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) fail();
  }

  std::string_view quoted() {
    const char quote = take('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const size_t end = text_.find(quote);
    if (end == std::string_view::npos) fail();
    const std::string_view content = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return content;
  }

  bool boolean() {
    take(' ');
    for (const auto& [name, value] : {std::pair("True", true), std::pair("False", false)}) {
      if (!text_.starts_with(name)) continue;
      text_.remove_prefix(std::strlen(name));
      return value;
    }
    fail();
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> sizes;
    expect('(');
    while (!take(')')) {
      int64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (error != std::errc() || sizes.size() == kMaxDims) fail();
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      sizes.push_back(size);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return sizes;
  }

  std::string_view text_;
  const std::string& where_;
};

std::vector<int64_t> fortran_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = 1; i < shape.size(); ++i)
    strides[i] = strides[i - 1] * std::max<int64_t>(shape[i - 1], 1);
  return strides;
}

StoredTensor parse_npy(const std::shared_ptr<const ZipArchive>& archive, const ZipEntry& entry) {
  const std::string where = archive->file().where + ": entry \"" + entry.name + "\"";
  // Magic, version (1 byte each half), header length (2 bytes in version 1, 4 in later ones).
  const std::string start = archive->read_start(entry, 12);
  check_user(start.starts_with(kMagic) && start.size() == 12, where, " is not a .npy file");
  const int version = start[6];
  check_user(version >= 1 && version <= 3, where, ": .npy version ", version, "; expected 1 to 3");
  uint32_t header_bytes = 0;
  std::memcpy(&header_bytes, start.data() + 8, version == 1 ? 2 : 4);
  const size_t data_begin = (version == 1 ? 10 : 12) + size_t{header_bytes};
  check_user(header_bytes <= kLongestHeader && data_begin <= entry.num_bytes, where,
             ": a header of ", header_bytes, " bytes in ", entry.num_bytes, "; damaged");
  const std::string head = archive->read_start(entry, data_begin);
  const NpyHeader header =
      HeaderParser(std::string_view(head).substr(data_begin - header_bytes), where).parse();
  const uint64_t num_bytes = count_bytes(header.info.shape, header.info.dtype, where);
  check_user(entry.num_bytes - data_begin == num_bytes, where, ": ", entry.num_bytes - data_begin,
             " bytes of values, its shape ", at::IntArrayRef(header.info.shape), " needs ",
             num_bytes);
  // The entry lives in the archive.
  const auto read = [archive, &entry, header, data_begin] {
    const FileBytes file = entry.is_deflated
                               ? hold_bytes(archive->read(entry), archive->file().where)
                               : archive->file();
    const auto content = entry.is_deflated ? file.bytes : archive->stored(entry);
    return tensor_at_bytes(
        file, content.data() + data_begin, header.info,
        header.is_fortran ? fortran_strides(header.info.shape) : std::vector<int64_t>());
  };
  return {header.info, read};
}

}  // namespace

StoredTensors parse_npz(std::shared_ptr<const ZipArchive> archive, const WantsTensor& wants) {
  StoredTensors tensors;
  for (const ZipEntry& entry : archive->entries()) {
    check_user(entry.name.ends_with(kSuffix), archive->file().where, ": entry \"", entry.name,
               "\" is not a .npy file; not an .npz archive");
    const std::string name = entry.name.substr(0, entry.name.size() - kSuffix.size());
    if (!wants || wants(name)) tensors[name] = parse_npy(archive, entry);
  }
  return tensors;
}

}  // namespace i1
