#include "i1/tables/addresses.h"

#include <filesystem>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/net/http_file.h"
#include "i1/tables/arrow_library.h"

namespace i1 {
namespace {

// Scheme and what follows "://" up to the end of its path.
size_t query_of(const std::string& address) {
  const size_t mark = address.find('?');
  return mark == std::string::npos ? address.size() : mark;
}

}  // namespace

bool is_remote(const std::string& address) {
  const size_t colon = address.find("://");
  if (colon == std::string::npos || colon == 0) return false;
  return address.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+.-") == colon;
}

bool is_http(const std::string& address) {
  return address.starts_with("http://") || address.starts_with("https://");
}

std::string shown_address(const std::string& address) {
  if (!is_remote(address)) return address;
  std::string shown = address.substr(0, query_of(address));
  const size_t host = shown.find("://") + 3;
  const size_t at = shown.find('@', host);
  if (at != std::string::npos && at < shown.find('/', host)) shown.erase(host, at + 1 - host);
  return shown;
}

std::string relative_to(const std::string& base, const std::string& path) {
  if (is_remote(path)) return path;
  if (!is_remote(base)) return (std::filesystem::path(base).parent_path() / path).string();
  const size_t query = query_of(base);
  if (path.starts_with('/')) {  // of the same host or bucket
    const size_t root = base.find('/', base.find("://") + 3);
    return base.substr(0, std::min(root, query)) + path + (is_http(base) ? "" : base.substr(query));
  }
  const size_t folder = base.rfind('/', query);
  return base.substr(0, folder + 1) + path + (is_http(base) ? "" : base.substr(query));
}

std::string read_address(const std::string& address, int64_t max_bytes) {
  if (is_http(address)) return http_read(address, max_bytes, /*num_retries=*/2);
  if (is_remote(address)) return arrow_library().read(address, shown_address(address), max_bytes);
  return read_file(address);
}

}  // namespace i1
