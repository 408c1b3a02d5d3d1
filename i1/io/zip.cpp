#include "i1/io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "i1/core/error.h"

namespace i1 {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50,
                   kLocator64Signature = 0x07064b50, kEntrySignature = 0x02014b50,
                   kLocalSignature = 0x04034b50;
constexpr size_t kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20, kEntryBytes = 46,
                 kLocalBytes = 30, kLongestComment = 65535;
constexpr uint16_t kZip64Extra = 1, kEncryptedFlag = 1, kStored = 0, kDeflated = 8;
constexpr uint64_t kElsewhere32 = 0xffffffff;  // the value stands in zip64
constexpr uint64_t kLargestRatio = 1032;       // that deflate can reach

// Little-endian, at a place that the caller has checked.
template <class T>
T load(Bytes bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

struct Directory {
  uint64_t offset, size, num_entries;
};

// The end record stands last, behind it only a comment.
size_t find_end_record(Bytes bytes, const std::string& where) {
  check_user(bytes.size() >= kEndBytes, where, ": ", bytes.size(),
             " bytes, too short for a zip archive");
  const size_t last = bytes.size() - kEndBytes;
  const size_t first = last > kLongestComment ? last - kLongestComment : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (load<uint32_t>(bytes, at) == kEndSignature &&
        at + kEndBytes + load<uint16_t>(bytes, at + 20) <= bytes.size()) {
      return at;
    }
  }
  throw UserError(where + ": no zip directory at its end; the file is incomplete or no archive");
}

Directory find_directory(Bytes bytes, const std::string& where) {
  const size_t end = find_end_record(bytes, where);
  Directory found = {load<uint32_t>(bytes, end + 16), load<uint32_t>(bytes, end + 12),
                     load<uint16_t>(bytes, end + 10)};
  if (end >= kLocator64Bytes &&
      load<uint32_t>(bytes, end - kLocator64Bytes) == kLocator64Signature) {
    const auto end64 = load<uint64_t>(bytes, end - kLocator64Bytes + 8);
    check_user(end64 <= bytes.size() && bytes.size() - end64 >= kEnd64Bytes &&
                   load<uint32_t>(bytes, end64) == kEnd64Signature,
               where, ": the zip64 end record at byte ", end64, " is not there; damaged");
    found = {load<uint64_t>(bytes, end64 + 48), load<uint64_t>(bytes, end64 + 40),
             load<uint64_t>(bytes, end64 + 32)};
  }
  check_user(found.offset <= end && found.size <= end - found.offset, where,
             ": the zip directory (", found.size, " bytes at ", found.offset,
             ") leaves the file of ", bytes.size(), " bytes; incomplete or damaged");
  check_user(found.num_entries <= found.size / kEntryBytes, where, ": a zip directory of ",
             found.size, " bytes cannot hold ", found.num_entries, " entries; damaged");
  return found;
}

// Sizes and the offset that do not fit in 32 bits stand in an extra field, in this order, each only
// where its short form says so.
void read_zip64(Bytes extra, ZipEntry& entry, const std::string& where) {
  while (extra.size() >= 4) {
    const auto id = load<uint16_t>(extra, 0);
    const size_t size = load<uint16_t>(extra, 2);
    check_user(size <= extra.size() - 4, where, ": an extra field of the zip directory is cut off");
    Bytes field = extra.subspan(4, size);
    extra = extra.subspan(4 + size);
    if (id != kZip64Extra) continue;
    for (uint64_t* value : {&entry.num_bytes, &entry.stored_bytes, &entry.local_header}) {
      if (*value != kElsewhere32) continue;
      check_user(field.size() >= 8, where, ": its zip64 field is cut off");
      *value = load<uint64_t>(field, 0);
      field = field.subspan(8);
    }
    return;
  }
}

}  // namespace

bool looks_like_zip(Bytes bytes) {
  return bytes.size() >= 4 &&
         (load<uint32_t>(bytes, 0) == kLocalSignature || load<uint32_t>(bytes, 0) == kEndSignature);
}

ZipArchive::ZipArchive(FileBytes file) : file_(std::move(file)) {
  const Directory place = find_directory(file_.bytes, file_.where);
  const Bytes directory = file_.bytes.subspan(place.offset, place.size);
  size_t position = 0;
  entries_.reserve(place.num_entries);
  for (uint64_t i = 0; i < place.num_entries; ++i) {
    entries_.push_back(parse_entry(directory, position));
    const std::string& name = entries_.back().name;
    check_user(by_name_.emplace(name, entries_.size() - 1).second, file_.where, ": entry \"", name,
               "\" occurs twice");
  }
}

ZipEntry ZipArchive::parse_entry(Bytes directory, size_t& position) const {
  const Bytes rest = directory.subspan(position);
  check_user(rest.size() >= kEntryBytes && load<uint32_t>(rest, 0) == kEntrySignature, file_.where,
             ": no entry at byte ", position, " of the zip directory; damaged");
  const size_t name_bytes = load<uint16_t>(rest, 28), extra_bytes = load<uint16_t>(rest, 30),
               comment_bytes = load<uint16_t>(rest, 32);
  const size_t size = kEntryBytes + name_bytes + extra_bytes + comment_bytes;
  check_user(size <= rest.size(), file_.where, ": the zip directory is cut off inside an entry");
  position += size;
  ZipEntry entry;
  entry.name.assign(reinterpret_cast<const char*>(rest.data()) + kEntryBytes, name_bytes);
  const std::string where = file_.where + ": entry \"" + entry.name + "\"";
  const auto method = load<uint16_t>(rest, 10);
  check_user((load<uint16_t>(rest, 8) & kEncryptedFlag) == 0, where, " is encrypted");
  check_user(method == kStored || method == kDeflated, where, " is compressed by method ", method,
             "; expected stored (0) or deflated (8)");
  entry.is_deflated = method == kDeflated;
  entry.crc32 = load<uint32_t>(rest, 16);
  entry.stored_bytes = load<uint32_t>(rest, 20);
  entry.num_bytes = load<uint32_t>(rest, 24);
  entry.local_header = load<uint32_t>(rest, 42);
  read_zip64(rest.subspan(kEntryBytes + name_bytes, extra_bytes), entry, where);
  check_user(entry.is_deflated || entry.num_bytes == entry.stored_bytes, where, " is stored in ",
             entry.stored_bytes, " bytes but has ", entry.num_bytes);
  check_user(entry.stored_bytes <= file_.bytes.size() &&
                 entry.num_bytes / kLargestRatio <= entry.stored_bytes,
             where, ": ", entry.num_bytes, " bytes in ", entry.stored_bytes, " of a file of ",
             file_.bytes.size(), "; incomplete or damaged");
  return entry;
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

// The local header has its own name and extra field, of other lengths than the directory's.
Bytes ZipArchive::stored(const ZipEntry& entry) const {
  const Bytes bytes = file_.bytes;
  const uint64_t header = entry.local_header;
  check_user(header <= bytes.size() && bytes.size() - header >= kLocalBytes &&
                 load<uint32_t>(bytes, header) == kLocalSignature,
             file_.where, ": entry \"", entry.name, "\": no header at byte ", header,
             "; incomplete or damaged");
  const size_t skipped =
      kLocalBytes + load<uint16_t>(bytes, header + 26) + load<uint16_t>(bytes, header + 28);
  const uint64_t left = bytes.size() - header;
  check_user(skipped <= left && entry.stored_bytes <= left - skipped, file_.where, ": entry \"",
             entry.name, "\": ", entry.stored_bytes, " bytes at ", header + skipped,
             " leave the file of ", bytes.size(), " bytes; incomplete or damaged");
  return bytes.subspan(header + skipped, entry.stored_bytes);
}

std::string ZipArchive::inflate(const ZipEntry& entry, size_t size) const {
  Bytes left = stored(entry);
  std::string content(size, '\0');
  z_stream stream{};
  check_machine(inflateInit2(&stream, -MAX_WBITS) == Z_OK, "zlib: no memory");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&stream, inflateEnd);
  size_t done = 0;
  int status = Z_OK;
  constexpr size_t kChunk = size_t{1} << 30;  // the library counts in 32 bits
  while (done < size && status == Z_OK) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(left.data()));
    const size_t fed = std::min(left.size(), kChunk), room = std::min(size - done, kChunk);
    stream.avail_in = static_cast<uInt>(fed);
    stream.next_out = reinterpret_cast<Bytef*>(content.data() + done);
    stream.avail_out = static_cast<uInt>(room);
    status = ::inflate(&stream, Z_NO_FLUSH);
    left = left.subspan(fed - stream.avail_in);
    done += room - stream.avail_out;
  }
  check_user(done == size, file_.where, ": entry \"", entry.name, "\": ", done, " of ", size,
             " bytes can be decompressed; damaged");
  return content;
}

std::string ZipArchive::read(const ZipEntry& entry) const {
  std::string content = read_start(entry, entry.num_bytes);
  uLong crc = ::crc32(0, nullptr, 0);
  crc = crc32_z(crc, reinterpret_cast<const Bytef*>(content.data()), content.size());
  check_user(crc == entry.crc32, file_.where, ": entry \"", entry.name,
             "\": its checksum does not fit; damaged");
  return content;
}

std::string ZipArchive::read_start(const ZipEntry& entry, size_t size) const {
  size = std::min<uint64_t>(size, entry.num_bytes);
  if (entry.is_deflated) return inflate(entry, size);
  return std::string(reinterpret_cast<const char*>(stored(entry).data()), size);
}

}  // namespace i1
