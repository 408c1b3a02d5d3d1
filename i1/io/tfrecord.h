// TFRecord files: records of bytes, each framed by its length and two checksums. And the
// tf.train.Example message that data sets keep in them, as far as they use it.
//
//   length (uint64) | masked CRC-32C of length | payload | masked CRC-32C of payload        all
//   little-endian
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "i1/core/error.h"

namespace i1 {

/// A record that cannot be used, with a short reason that such records are counted by.
class RecordError : public UserError {
 public:
  RecordError(std::string reason, const std::string& message)
      : UserError(message), reason_(std::move(reason)) {}

  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

/// Throws RecordError(reason, parts...) unless `ok`.
template <class... Parts>
void check_record(bool ok, const char* reason, const Parts&... parts) {
  if (!ok) throw RecordError(reason, concat(parts...));
}

/// CRC-32C (Castagnoli): "123456789" gives e3069283. `before`: that of the bytes before these.
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);

/// As TFRecord stores it: rotated right by 15, plus a constant.
uint32_t masked_crc32c(std::string_view bytes);

/// The frame of one record, ready to be appended to a file.
std::string frame_record(std::string_view payload);

/// Walks the records of one file held in memory or mapped.
class RecordReader {
 public:
  /// `where` opens error messages; `bytes` must outlive the reader.
  RecordReader(std::span<const std::byte> bytes, std::string where);

  /// The next payload, or nothing at the end. Throws RecordError (file, byte) where a frame is
  /// "cut off" or has a "wrong checksum"; after a wrong payload checksum the next call goes on
  /// behind that record, after any other fault it returns nothing.
  std::optional<std::string_view> next();

  /// Passes over at most `count` records without reading their payloads, and returns how many there
  /// were. Throws as `next` does, but for payload checksums.
  int64_t skip(int64_t count);

  /// Where the next record begins.
  uint64_t offset() const { return position_; }
  void seek(uint64_t offset) { position_ = std::min<uint64_t>(offset, bytes_.size()); }

 private:
  std::string_view take_frame();

  std::string_view bytes_;
  std::string where_;
  size_t position_ = 0;
};

/// One feature: a list of bytes, floats or integers.
using Feature = std::variant<std::vector<std::string>, std::vector<float>, std::vector<int64_t>>;
using Features = std::map<std::string, Feature>;

/// Parses a tf.train.Example. Throws RecordError "not an example", opened by `where`. Of a
/// repeated key the last wins.
Features parse_example(std::string_view payload, const std::string& where);

/// The message with its features in key order.
std::string serialize_example(const Features& features);

}  // namespace i1
