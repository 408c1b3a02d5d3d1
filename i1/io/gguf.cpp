#include "i1/io/gguf.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "i1/core/error.h"
#include "i1/core/utf8.h"
#include "i1/io/block_formats.h"
#include "i1/io/gguf_types.h"

namespace i1 {
namespace {

using nlohmann::json;

constexpr uint64_t kLongestName = 1000, kMostShown = 1000, kLargestAlignment = 1 << 20;
constexpr uint32_t kMaxDims = 8, kDeepest = 4;
// The least that a key with its value and a tensor take: an empty name, a type, one byte; an empty
// name, no size, a type, an offset.
constexpr uint64_t kLeastValueBytes = 8 + 4 + 1, kLeastTensorBytes = 8 + 4 + 4 + 8;

struct Entry {
  std::string name;
  GgufType type;
  std::vector<int64_t> shape;
  uint64_t offset = 0, num_bytes = 0;
};

// Reads the header front to back; every step is checked against the file's end.
class Header {
 public:
  explicit Header(const FileBytes& file) : file_(file), rest_(file.bytes) {}

  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }

  std::string text(std::string_view what) {
    const auto size = number<uint64_t>(what);
    const auto bytes = take(size, what);
    std::string found(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (size_t i = 0; i < found.size();) {
      const size_t length = utf8_length(std::string_view(found).substr(i));
      check_user(length > 0, file_.where, ": ", what, " is not UTF-8; damaged");
      i += length;
    }
    return found;
  }

  // A name: short, and fit to stand in a message.
  std::string name(std::string_view what) {
    std::string found = text(what);
    const bool is_plain =
        std::none_of(found.begin(), found.end(), [](char c) { return c >= 0 && c < ' '; });
    check_user(is_plain && found.size() <= kLongestName, file_.where, ": ", what, " of ",
               found.size(), " bytes; expected plain text of at most ", kLongestName, "; damaged");
    return found;
  }

  json value(uint32_t type, const std::string& key, uint32_t depth = 0) {
    switch (static_cast<GgufValue>(type)) {
      case GgufValue::kUint8:
        return number<uint8_t>(key);
      case GgufValue::kInt8:
        return number<int8_t>(key);
      case GgufValue::kUint16:
        return number<uint16_t>(key);
      case GgufValue::kInt16:
        return number<int16_t>(key);
      case GgufValue::kUint32:
        return number<uint32_t>(key);
      case GgufValue::kInt32:
        return number<int32_t>(key);
      case GgufValue::kFloat32:
        return number<float>(key);
      case GgufValue::kBool:
        return number<uint8_t>(key) != 0;
      case GgufValue::kString:
        return text(key);
      case GgufValue::kArray:
        return array(key, depth);
      case GgufValue::kUint64:
        return number<uint64_t>(key);
      case GgufValue::kInt64:
        return number<int64_t>(key);
      case GgufValue::kFloat64:
        return number<double>(key);
    }
    throw UserError(
        concat(file_.where, ": key \"", key, "\" has type ", type, ", expected 0 to 12; damaged"));
  }

  void check_count(uint64_t count, uint64_t least_bytes, std::string_view what) const {
    check_user(count <= rest_.size() / least_bytes, file_.where, ": ", count, " ", what, ", but ",
               rest_.size(), " bytes are left; damaged");
  }

  uint64_t position() const { return file_.bytes.size() - rest_.size(); }

 private:
  std::span<const std::byte> take(uint64_t size, std::string_view what) {
    check_user(size <= rest_.size(), file_.where, ": ends inside its header, at ", what, ": ", size,
               " bytes expected, ", rest_.size(), " are left; incomplete or damaged");
    const auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }

  json array(const std::string& key, uint32_t depth) {
    check_user(depth < kDeepest, file_.where, ": key \"", key, "\" is nested deeper than ",
               kDeepest, " levels; damaged");
    const auto type = number<uint32_t>(key);
    const auto count = number<uint64_t>(key);
    check_count(count, 1, concat("values of \"", key, "\""));
    json values = json::array();
    for (uint64_t i = 0; i < count; ++i) {
      json item = value(type, key, depth + 1);
      if (count <= kMostShown) values.push_back(std::move(item));
    }
    return count <= kMostShown ? values : json(concat(count, " values"));
  }

  const FileBytes& file_;
  std::span<const std::byte> rest_;
};

GgufType type_of(uint32_t number, const std::string& where) {
  std::string known;
  for (const GgufType& type : kGgufTypes) {
    if (type.number == number) return type;
    known += concat(known.empty() ? "" : ", ", type.name);
  }
  throw UserError(
      concat(where, " has type number ", number, ", which is not read; expected ", known));
}

Entry parse_entry(Header& header, const std::string& file) {
  Entry entry;
  entry.name = header.name("a tensor's name");
  const std::string where = file + ": tensor \"" + entry.name + "\"";
  const auto num_dims = header.number<uint32_t>(where);
  check_user(num_dims <= kMaxDims, where, " has ", num_dims, " dimensions, expected at most ",
             kMaxDims, "; damaged");
  for (uint32_t i = 0; i < num_dims; ++i) {
    const auto size = header.number<uint64_t>(where);
    check_user(size <= std::numeric_limits<int64_t>::max(), where, " has a size of ", size,
               "; damaged");
    entry.shape.insert(entry.shape.begin(), static_cast<int64_t>(size));  // fastest first
  }
  entry.type = type_of(header.number<uint32_t>(where), where);
  entry.offset = header.number<uint64_t>(where);
  entry.num_bytes = count_bytes(entry.shape, entry.type.dtype, where);
  if (entry.type.is_blocks) {
    check_user(fits_blocks(entry.shape), where, " of type ", entry.type.name, " has shape ",
               at::IntArrayRef(entry.shape), ", expected rows of a multiple of ", kBlockValues);
    entry.num_bytes = entry.num_bytes / (kBlockValues * sizeof(float)) *
                      static_cast<uint64_t>(block_bytes(entry.type.name));
  }
  return entry;
}

uint64_t alignment_of(const json& values, const std::string& where) {
  const auto found = values.find("general.alignment");
  if (found == values.end()) return kGgufAlignment;
  const uint64_t alignment = found->is_number_unsigned() ? found->get<uint64_t>() : 0;
  const bool is_power = alignment > 0 && (alignment & (alignment - 1)) == 0;
  check_user(is_power && alignment <= kLargestAlignment, where, ": general.alignment is ",
             found->dump(), ", expected a power of two up to ", kLargestAlignment);
  return alignment;
}

// Everything that the values' place depends on, before any tensor is made.
void check_places(std::vector<Entry> entries, uint64_t data_bytes, uint64_t alignment,
                  const std::string& file) {
  for (const Entry& entry : entries) {
    const std::string where = file + ": tensor \"" + entry.name + "\"";
    check_user(entry.offset % alignment == 0, where, " begins at offset ", entry.offset,
               ", expected a multiple of ", alignment, "; damaged");
    check_user(entry.offset <= data_bytes && entry.num_bytes <= data_bytes - entry.offset, where,
               ": ", entry.num_bytes, " bytes at offset ", entry.offset,
               " leave the file, which has ", data_bytes,
               " bytes of data; the file is incomplete or damaged");
  }
  std::erase_if(entries, [](const Entry& entry) { return entry.num_bytes == 0; });
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  for (size_t i = 1; i < entries.size(); ++i) {
    const Entry &before = entries[i - 1], &entry = entries[i];
    check_user(before.offset + before.num_bytes <= entry.offset, file, ": tensors \"", before.name,
               "\" and \"", entry.name, "\" overlap; damaged");
  }
}

StoredTensor stored_entry(const FileBytes& file, const std::byte* place, const Entry& entry) {
  const TensorInfo info = {entry.type.dtype, entry.shape};
  if (!entry.type.is_blocks)
    return {info, [file, info, place] { return tensor_at_bytes(file, place, info); }};
  const auto decode = [owner = file.owner, place, entry] {
    at::Tensor values = at::empty(entry.shape, at::kFloat);
    decode_blocks(entry.type.name, {place, entry.num_bytes},
                  {values.mutable_data_ptr<float>(), static_cast<size_t>(values.numel())});
    return values;
  };
  return {info, decode, std::string(entry.type.name), entry.num_bytes};
}

void check_version(uint32_t version, const std::string& where) {
  check_user((version & 0xffff) != 0, where,
             ": its numbers are big-endian, which is not read; convert it on another machine");
  check_user(version == 2 || version == 3, where, ": GGUF version ", version,
             ", expected 2 or 3; write it again with a newer program");
}

}  // namespace

bool fits_blocks(const std::vector<int64_t>& shape) {
  return !shape.empty() && shape.back() % kBlockValues == 0;
}

bool looks_like_gguf(std::span<const std::byte> bytes) {
  return bytes.size() >= kGgufMagic.size() &&
         std::memcmp(bytes.data(), kGgufMagic.data(), kGgufMagic.size()) == 0;
}

GgufFile parse_gguf(const FileBytes& file) {
  const std::string& where = file.where;
  check_user(looks_like_gguf(file.bytes), where, ": does not begin with GGUF; not a GGUF file");
  Header header(file);
  header.number<uint32_t>("its magic");
  check_version(header.number<uint32_t>("its version"), where);
  const auto num_tensors = header.number<uint64_t>("its number of tensors");
  const auto num_values = header.number<uint64_t>("its number of keys");
  header.check_count(num_values, kLeastValueBytes, "keys");
  header.check_count(num_tensors, kLeastTensorBytes, "tensors");
  GgufFile result;
  result.values = json::object();
  for (uint64_t i = 0; i < num_values; ++i) {
    const std::string key = header.name("a key");
    const auto type = header.number<uint32_t>(key);
    check_user(!result.values.contains(key), where, ": key \"", key, "\" is there twice; damaged");
    result.values[key] = header.value(type, key);
  }
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < num_tensors; ++i) entries.push_back(parse_entry(header, where));
  const uint64_t alignment = alignment_of(result.values, where);
  const uint64_t begin =
      std::min<uint64_t>(align_up(header.position(), alignment), file.bytes.size());
  const std::span<const std::byte> data = file.bytes.subspan(begin);
  check_places(entries, data.size(), alignment, where);
  for (const Entry& entry : entries) {
    const StoredTensor tensor = stored_entry(file, data.data() + entry.offset, entry);
    check_user(result.tensors.emplace(entry.name, tensor).second, where, ": tensor \"", entry.name,
               "\" is there twice; damaged");
  }
  return result;
}

}  // namespace i1
