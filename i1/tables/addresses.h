// Where files lie: local paths, http(s):// by libcurl, s3:// and gs:// by Arrow's file systems.
#pragma once

#include <cstdint>
#include <string>

namespace i1 {

/// Whether it begins with a scheme, "s3://", rather than being a local path.
bool is_remote(const std::string& address);
bool is_http(const std::string& address);

/// An address for messages: without user name, password and what follows a '?'.
std::string shown_address(const std::string& address);

/// What `path` means inside the file at `base`: itself if it is absolute or remote, else relative
/// to the folder of the file, which may be remote.
std::string relative_to(const std::string& base, const std::string& path);

/// All bytes of a file, over HTTP after up to two retries. Throws UserError where it is not there,
/// cannot be read or is longer than `max_bytes`, and where s3:// or gs:// need Arrow and this build
/// has none; Failure where the network fails.
std::string read_address(const std::string& address, int64_t max_bytes);

}  // namespace i1
