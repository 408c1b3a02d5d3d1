// The protobuf wire format, as far as tf.train.Example needs it:
//   Example { Features features = 1 }    Features { map<string, Feature> feature = 1 }
//   Feature { oneof: BytesList = 1, FloatList = 2, Int64List = 3 }, each with its values in field
//   1, numbers packed.
#include <cstring>

#include "i1/io/tfrecord.h"

namespace i1 {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  bool done() const { return bytes_.empty(); }

  [[noreturn]] void fail(const std::string& why) const {
    throw RecordError("not an example", where_ + ": not a tf.train.Example: " + why);
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
    fail("a number of more than 64 bits");
  }

  std::string_view take(uint64_t size) {
    if (size > bytes_.size()) fail("it ends early");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  struct Field {
    uint64_t number;
    uint32_t wire_type;
    std::string_view bytes;  ///< of a length-delimited or fixed field
    uint64_t value;          ///< of a varint
  };

  Field field() {
    const uint64_t tag = varint();
    Field result{tag >> 3, static_cast<uint32_t>(tag & 7), {}, 0};
    switch (result.wire_type) {
      case kVarint:
        result.value = varint();
        break;
      case kFixed64:
        result.bytes = take(8);
        break;
      case kBytes:
        result.bytes = take(varint());
        break;
      case kFixed32:
        result.bytes = take(4);
        break;
      default:
        fail(concat("wire type ", result.wire_type));
    }
    return result;
  }

 private:
  std::string_view bytes_;
  const std::string& where_;
};

std::vector<std::string> parse_bytes(std::string_view list, const std::string& where) {
  std::vector<std::string> values;
  for (Parser parser(list, where); !parser.done();) {
    const Parser::Field field = parser.field();
    if (field.number == 1 && field.wire_type == kBytes) values.emplace_back(field.bytes);
  }
  return values;
}

std::vector<float> parse_floats(std::string_view list, const std::string& where) {
  std::vector<float> values;
  for (Parser parser(list, where); !parser.done();) {
    const Parser::Field field = parser.field();
    if (field.number != 1 || field.wire_type == kVarint) continue;
    if (field.bytes.size() % sizeof(float) != 0)
      parser.fail(concat("a float list of ", field.bytes.size(), " bytes"));
    const size_t before = values.size();
    values.resize(before + field.bytes.size() / sizeof(float));
    if (!field.bytes.empty())
      std::memcpy(values.data() + before, field.bytes.data(), field.bytes.size());
  }
  return values;
}

std::vector<int64_t> parse_integers(std::string_view list, const std::string& where) {
  std::vector<int64_t> values;
  for (Parser parser(list, where); !parser.done();) {
    const Parser::Field field = parser.field();
    if (field.number != 1) continue;
    if (field.wire_type == kVarint) values.push_back(static_cast<int64_t>(field.value));
    if (field.wire_type != kBytes) continue;
    for (Parser packed(field.bytes, where); !packed.done();) {
      values.push_back(static_cast<int64_t>(packed.varint()));
    }
  }
  return values;
}

Feature parse_feature(std::string_view bytes, const std::string& where) {
  Feature feature;
  for (Parser parser(bytes, where); !parser.done();) {
    const Parser::Field field = parser.field();
    if (field.wire_type != kBytes) continue;
    if (field.number == 1) feature = parse_bytes(field.bytes, where);
    if (field.number == 2) feature = parse_floats(field.bytes, where);
    if (field.number == 3) feature = parse_integers(field.bytes, where);
  }
  return feature;
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

void append_field(std::string& out, uint32_t number, std::string_view bytes) {
  append_varint(out, number << 3 | kBytes);
  append_varint(out, bytes.size());
  out.append(bytes);
}

std::string serialize_feature(const Feature& feature) {
  std::string list, out;
  if (const auto* values = std::get_if<std::vector<std::string>>(&feature)) {
    for (const std::string& value : *values) append_field(list, 1, value);
  } else if (const auto* floats = std::get_if<std::vector<float>>(&feature)) {
    append_field(list, 1,
                 {reinterpret_cast<const char*>(floats->data()), floats->size() * sizeof(float)});
  } else {
    std::string packed;
    for (const int64_t value : std::get<std::vector<int64_t>>(feature)) {
      append_varint(packed, static_cast<uint64_t>(value));
    }
    append_field(list, 1, packed);
  }
  append_field(out, static_cast<uint32_t>(feature.index() + 1), list);
  return out;
}

}  // namespace

Features parse_example(std::string_view payload, const std::string& where) {
  Features features;
  for (Parser example(payload, where); !example.done();) {
    const Parser::Field outer = example.field();
    if (outer.number != 1 || outer.wire_type != kBytes) continue;
    for (Parser map(outer.bytes, where); !map.done();) {
      const Parser::Field entry = map.field();
      if (entry.number != 1 || entry.wire_type != kBytes) continue;
      std::string key;
      Feature value;
      for (Parser pair(entry.bytes, where); !pair.done();) {
        const Parser::Field part = pair.field();
        if (part.wire_type != kBytes) continue;
        if (part.number == 1) key = part.bytes;
        if (part.number == 2) value = parse_feature(part.bytes, where);
      }
      features[key] = std::move(value);
    }
  }
  return features;
}

std::string serialize_example(const Features& features) {
  std::string map, example;
  for (const auto& [key, feature] : features) {
    std::string entry;
    append_field(entry, 1, key);
    append_field(entry, 2, serialize_feature(feature));
    append_field(map, 1, entry);
  }
  append_field(example, 1, map);
  return example;
}

}  // namespace i1
