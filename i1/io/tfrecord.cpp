#include "i1/io/tfrecord.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstring>

#include "i1/core/error.h"

namespace i1 {
namespace {

constexpr uint32_t kMaskDelta = 0xa282ead8;
constexpr size_t kHeaderBytes = sizeof(uint64_t) + sizeof(uint32_t),
                 kFooterBytes = sizeof(uint32_t);
constexpr const char *kCutOff = "cut off", *kWrongChecksum = "wrong checksum";

template <class T>
T load(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t before) {
  constexpr size_t kChunk = size_t{1} << 30;  // the library counts in int
  uint32_t crc = ~before;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kChunk, bytes.size()))) {
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(std::min(kChunk, bytes.size())), crc);
  }
  return ~crc;
}

uint32_t masked_crc32c(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + kMaskDelta;
}

std::string frame_record(std::string_view payload) {
  std::string record;
  record.reserve(kHeaderBytes + payload.size() + kFooterBytes);
  append(record, static_cast<uint64_t>(payload.size()));
  append(record, masked_crc32c(record));
  record.append(payload);
  append(record, masked_crc32c(payload));
  return record;
}

RecordReader::RecordReader(std::span<const std::byte> bytes, std::string where)
    : bytes_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), where_(std::move(where)) {}

// The next frame from its payload on, with the payload's checksum behind it.
std::string_view RecordReader::take_frame() {
  const std::string_view rest = bytes_.substr(position_);
  const size_t begin = position_;
  position_ = bytes_.size();  // where the frame is wrong nothing behind it can be found
  check_record(rest.size() >= kHeaderBytes, kCutOff, where_,
               ": cut off inside a record's header at byte ", begin);
  check_record(masked_crc32c(rest.substr(0, 8)) == load<uint32_t>(rest.substr(8)), kWrongChecksum,
               where_, ": wrong checksum of the record length at byte ", begin);
  const auto length = load<uint64_t>(rest);
  check_record(length <= rest.size() && rest.size() - length >= kHeaderBytes + kFooterBytes,
               kCutOff, where_, ": cut off inside the record of ", length, " bytes at byte ",
               begin);
  position_ = begin + kHeaderBytes + length + kFooterBytes;
  return rest.substr(kHeaderBytes, length + kFooterBytes);
}

std::optional<std::string_view> RecordReader::next() {
  if (position_ == bytes_.size()) return std::nullopt;
  const size_t begin = position_;
  const std::string_view frame = take_frame();
  const std::string_view payload = frame.substr(0, frame.size() - kFooterBytes);
  check_record(masked_crc32c(payload) == load<uint32_t>(frame.substr(payload.size())),
               kWrongChecksum, where_, ": wrong checksum of the record at byte ", begin);
  return payload;
}

int64_t RecordReader::skip(int64_t count) {
  int64_t skipped = 0;
  for (; skipped < count && position_ < bytes_.size(); ++skipped) take_frame();
  return skipped;
}

}  // namespace i1
