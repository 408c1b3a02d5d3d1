// The directory of a zip archive, as PyTorch and NumPy write them: entries stored or deflated,
// sizes of 32 or 64 bits. Nothing but the directory is read until an entry is asked for.
// Layout: APPNOTE.TXT of PKWARE, sections 4.3 and 4.5.3.
#pragma once

#include <optional>
#include <string_view>

#include "i1/io/stored_tensor.h"

namespace i1 {

struct ZipEntry {
  std::string name;
  bool is_deflated = false;   ///< else stored as it is
  uint64_t num_bytes = 0;     ///< of the content
  uint64_t stored_bytes = 0;  ///< in the archive
  uint32_t crc32 = 0;         ///< of the content
  uint64_t local_header = 0;  ///< offset in the archive
};

class ZipArchive {
 public:
  /// Reads the directory. Throws UserError (file, entry, found, expected) where there is none, it
  /// leaves the file, repeats a name, or has entries that are encrypted or compressed in other ways
  /// than deflate.
  explicit ZipArchive(FileBytes file);

  const FileBytes& file() const { return file_; }
  const std::vector<ZipEntry>& entries() const { return entries_; }  ///< in the directory's order
  const ZipEntry* find(std::string_view name) const;                 ///< null where there is none

  /// The bytes of an entry as they lie in the archive, still compressed where it is deflated.
  /// Throws UserError where they leave the file. Checksums are not read: that would read all.
  std::span<const std::byte> stored(const ZipEntry& entry) const;

  /// The content of an entry, checked against its size and checksum.
  std::string read(const ZipEntry& entry) const;

  /// The first bytes of an entry's content, at most `size`; unchecked.
  std::string read_start(const ZipEntry& entry, size_t size) const;

 private:
  ZipEntry parse_entry(std::span<const std::byte> directory, size_t& position) const;
  std::string inflate(const ZipEntry& entry, size_t size) const;

  FileBytes file_;
  std::vector<ZipEntry> entries_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

/// Whether bytes begin as a zip archive does.
bool looks_like_zip(std::span<const std::byte> bytes);

}  // namespace i1
