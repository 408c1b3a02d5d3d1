// Zip archives, .npy files and pickles built byte by byte, for tests of what reads them.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

namespace i1 {

template <class T>
void append_bytes(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

struct ZipMember {
  std::string name, content;
  bool deflate = false;
  bool use_zip64 = false;  ///< sizes and offset only in the zip64 field
  size_t padding = 0;      ///< bytes of the local header's extra field, which the directory lacks
};

inline std::string deflated(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string make_zip(const std::vector<ZipMember>& members, bool with_end64 = false) {
  std::string out, directory;
  for (const ZipMember& member : members) {
    const std::string stored = member.deflate ? deflated(member.content) : member.content;
    const auto crc = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(member.content.data()), member.content.size()));
    const auto sizes32 = [&](std::string& to, bool elsewhere) {
      append_bytes<uint32_t>(to, elsewhere ? ~0u : static_cast<uint32_t>(stored.size()));
      append_bytes<uint32_t>(to, elsewhere ? ~0u : static_cast<uint32_t>(member.content.size()));
    };
    const auto offset = static_cast<uint64_t>(out.size());
    const auto common = [&](std::string& to) {  // version, flags, method, time, date, checksum
      append_bytes<uint16_t>(to, 45);
      append_bytes<uint16_t>(to, 0);
      append_bytes<uint16_t>(to, member.deflate ? 8 : 0);
      append_bytes<uint32_t>(to, 0);
      append_bytes<uint32_t>(to, crc);
    };
    append_bytes<uint32_t>(out, 0x04034b50);
    common(out);
    sizes32(out, member.use_zip64);
    append_bytes<uint16_t>(out, static_cast<uint16_t>(member.name.size()));
    append_bytes<uint16_t>(out, static_cast<uint16_t>(member.padding));
    out += member.name + std::string(member.padding, 'p') + stored;

    std::string extra;
    if (member.use_zip64) {
      append_bytes<uint16_t>(extra, 1);
      append_bytes<uint16_t>(extra, 24);
      append_bytes<uint64_t>(extra, member.content.size());
      append_bytes<uint64_t>(extra, stored.size());
      append_bytes<uint64_t>(extra, offset);
    }
    append_bytes<uint32_t>(directory, 0x02014b50);
    append_bytes<uint16_t>(directory, 45);
    common(directory);
    sizes32(directory, member.use_zip64);
    append_bytes<uint16_t>(directory, static_cast<uint16_t>(member.name.size()));
    append_bytes<uint16_t>(directory, static_cast<uint16_t>(extra.size()));
    append_bytes<uint16_t>(directory, 0);  // comment
    directory.append(8, '\0');             // disk, attributes
    append_bytes<uint32_t>(directory, member.use_zip64 ? ~0u : static_cast<uint32_t>(offset));
    directory += member.name + extra;
  }
  const uint64_t directory_at = out.size(), count = members.size();
  out += directory;
  if (with_end64) {
    const uint64_t end64 = out.size();
    append_bytes<uint32_t>(out, 0x06064b50);
    append_bytes<uint64_t>(out, 44);
    append_bytes<uint32_t>(out, 45 << 16 | 45);
    append_bytes<uint64_t>(out, 0);
    append_bytes<uint64_t>(out, count);
    append_bytes<uint64_t>(out, count);
    append_bytes<uint64_t>(out, directory.size());
    append_bytes<uint64_t>(out, directory_at);
    append_bytes<uint32_t>(out, 0x07064b50);
    append_bytes<uint32_t>(out, 0);
    append_bytes<uint64_t>(out, end64);
    append_bytes<uint32_t>(out, 1);
  }
  append_bytes<uint32_t>(out, 0x06054b50);
  append_bytes<uint32_t>(out, 0);
  append_bytes<uint16_t>(out, static_cast<uint16_t>(with_end64 ? 0xffff : count));
  append_bytes<uint16_t>(out, static_cast<uint16_t>(with_end64 ? 0xffff : count));
  append_bytes<uint32_t>(out, with_end64 ? ~0u : static_cast<uint32_t>(directory.size()));
  append_bytes<uint32_t>(out, with_end64 ? ~0u : static_cast<uint32_t>(directory_at));
  append_bytes<uint16_t>(out, 0);
  return out;
}

/// A .npy file of version 1, as NumPy writes it.
inline std::string make_npy(const std::string& descr, const std::string& shape,
                            const std::string& values, bool is_fortran = false) {
  std::string header = "{'descr': '" + descr +
                       "', 'fortran_order': " + (is_fortran ? "True" : "False") +
                       ", 'shape': " + shape + ", }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  append_bytes<uint16_t>(out, static_cast<uint16_t>(header.size()));
  return out + header + values;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Pickles: each function gives the opcodes that push one object.

inline std::string pickled_text(const std::string& text) {
  std::string out = "X";
  append_bytes<uint32_t>(out, static_cast<uint32_t>(text.size()));
  return out + text;
}

inline std::string pickled_int(int32_t value) {
  std::string out = "J";
  append_bytes(out, value);
  return out;
}

inline std::string pickled_tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}

inline std::string pickled_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = "}(";
  for (const auto& [key, value] : items) out += pickled_text(key) + value;
  return out + "u";
}

inline std::string pickled_ints(const std::vector<int32_t>& values) {
  std::vector<std::string> items;
  for (const int32_t value : values) items.push_back(pickled_int(value));
  return pickled_tuple(items);
}

inline std::string pickled_tensor(const std::string& storage_class, const std::string& key,
                                  int32_t num_values, int32_t offset,
                                  const std::vector<int32_t>& shape,
                                  const std::vector<int32_t>& strides) {
  const std::string storage =
      pickled_tuple({pickled_text("storage"), "ctorch\n" + storage_class + "\n", pickled_text(key),
                     pickled_text("cpu"), pickled_int(num_values)}) +
      "Q";
  return "ctorch._utils\n_rebuild_tensor_v2\n" +
         pickled_tuple({storage, pickled_int(offset), pickled_ints(shape), pickled_ints(strides),
                        "\x89", "ccollections\nOrderedDict\n)R"}) +
         "R";
}

/// A .pt file: the pickle of `object`, and storages by key.
inline std::string make_pt(const std::string& object,
                           const std::vector<std::pair<std::string, std::string>>& storages = {},
                           const std::string& byte_order = "little") {
  std::vector<ZipMember> members = {{"archive/data.pkl", "\x80\x02" + object + "."},
                                    {"archive/byteorder", byte_order}};
  for (const auto& [key, bytes] : storages) {
    members.push_back({"archive/data/" + key, bytes});
  }
  members.push_back({"archive/version", "3\n"});
  return make_zip(members);
}

}  // namespace i1
