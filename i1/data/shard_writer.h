// Writes shards: TFRecord files as TFDS has them, or tar files in WebDataset's form.
#pragma once

#include <memory>

#include "i1/core/files.h"
#include "i1/data/example.h"

namespace i1 {

/// A tar file that grows in memory, member by member; the same members give the same bytes.
class TarBytes {
 public:
  TarBytes();
  ~TarBytes();
  TarBytes(const TarBytes&) = delete;
  TarBytes& operator=(const TarBytes&) = delete;

  void add(const std::string& name, std::string_view bytes);
  void finish();

  /// What came since the last call.
  std::string take() { return std::exchange(bytes_, {}); }

 private:
  struct Writer;
  std::unique_ptr<Writer> writer_;
  std::string bytes_;
};

/// Whether a key can name the members of a tar: they are told apart by what follows the first
/// point.
bool is_tar_key(std::string_view key);

/// Writes one shard example by example under a temporary name; `close` gives it its final one. A
/// writer that is destroyed before leaves nothing behind. In a tar, KEY.png comes with its caption
/// in KEY.txt or, of several, KEY.json: {"caption1": ..., "caption2": ...}.
class ShardWriter {
 public:
  explicit ShardWriter(std::filesystem::path path, ShardFormat format = ShardFormat::kTfrecord);

  void write(const Example& example);
  void close();

  int64_t num_records() const { return num_records_; }
  int64_t num_captions() const { return num_captions_; }
  int64_t num_payload_bytes() const { return num_payload_bytes_; }  ///< without framing
  /// Of the whole file, once it is closed.
  int64_t num_file_bytes() const { return num_file_bytes_; }
  uint32_t crc32c() const { return crc32c_; }

 private:
  void flush();

  AtomicFile file_;
  std::unique_ptr<TarBytes> tar_;  // null: TFRecord
  std::string buffer_;
  int64_t num_records_ = 0, num_captions_ = 0, num_payload_bytes_ = 0, num_file_bytes_ = 0;
  uint32_t crc32c_ = 0;
};

}  // namespace i1
