// A file at an HTTP address, read in parts by range requests, as formats with an index want it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace i1 {

class HttpFile {
 public:
  /// Asks for the size. Throws UserError where the server refuses or gives no parts of a file,
  /// Failure where it cannot be reached.
  explicit HttpFile(std::string address);

  int64_t size() const { return size_; }

  /// Fills `bytes` with those from `offset` on, all of them; what fails in passing is tried again.
  /// Throws as the constructor, and Failure where the file has become another one meanwhile.
  void read(int64_t offset, std::span<std::byte> bytes);

 private:
  std::string address_, tag_;  // ETag or date; empty: the server names none
  int64_t size_ = 0;
};

/// The whole of a file at an HTTP address, tried again as above. Throws as HttpFile does, and
/// UserError where it is longer than `max_bytes`.
std::string http_read(const std::string& address, int64_t max_bytes, int num_retries = 5);

}  // namespace i1
