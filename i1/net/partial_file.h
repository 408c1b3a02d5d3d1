// A file on its way over a network: it outlives the process that began it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace i1 {

/// Where the bytes of a partial file come from: enough to tell whether the rest still fits them.
struct PartialSource {
  std::string address;
  std::string etag, last_modified;  ///< as the server wrote them
  std::string sha256;               ///< of the whole file, where somebody knows it
  int64_t size = -1;                ///< of the whole file; -1: unknown

  static void fields(auto& self, auto&& visit) {
    visit("address", self.address);
    visit("etag", self.etag);
    visit("last_modified", self.last_modified);
    visit("sha256", self.sha256);
    visit("size", self.size);
  }

  /// What to send as If-Range: a strong ETag, else the date; empty where there is neither.
  std::string validator() const;
};

/// TARGET.partial with the bytes so far, TARGET.partial.json with their source; both are kept when
/// the object goes, unless there are no bytes. One process at a time holds them. Throws UserError
/// where the path cannot be written or another process holds it, Failure where the machine fails
/// (disk full), both with the path.
class PartialFile {
 public:
  explicit PartialFile(std::filesystem::path target);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  int64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  const PartialSource& source() const { return source_; }

  void begin(const PartialSource& source);  ///< from the first byte, whatever is there
  void append(std::string_view bytes);
  void commit();  ///< flushes and renames onto the target

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path target_, path_, source_path_;
  int fd_ = -1;
  int64_t size_ = 0;
  PartialSource source_;
};

}  // namespace i1
