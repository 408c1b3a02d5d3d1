// One file from its address to its name: resumed, tried again, verified.
#pragma once

#include <filesystem>
#include <string>

namespace i1 {

struct RemoteFile {
  std::string name;     ///< for messages: "t5gemma-2b/config.json"
  std::string address;  ///< http or https
  int64_t size = -1;    ///< -1: unknown
  std::string sha256;   ///< in lower-case hexadecimal digits; empty: unknown
};

struct FetchOptions {
  int num_retries = 5;        ///< after a try that brought no byte; one that did starts anew
  double first_wait_s = 1;    ///< before the first retry, doubled before each further one
  std::string token;          ///< of the account that may read gated files
  std::string token_origin;   ///< the only place it is sent to (origin_of)
  std::string how_to_get_in;  ///< what an answer of 401 or 403 is met with
};

/// What was checked of a file that is there.
struct FileCheck {
  int64_t size = 0;
  bool is_size_known = false, is_hash_known = false;
};

/// Fetches a file into `target`, whose folder is there. What an earlier call left in TARGET.partial
/// is gone on from where the server says that the file is still the same one. Complete under its
/// name or not there at all: size and SHA-256, where RemoteFile or the server names them, are what
/// they should be, and it is no HTML page. Throws UserError where access is refused, Failure for
/// network, server, disk and a file that is not the one expected, Interrupted.
FileCheck fetch_file(const RemoteFile& file, const std::filesystem::path& target,
                     const FetchOptions& options);

/// Whether `path` is the file, as far as that is known: size, then SHA-256. False where it is not
/// there. Throws UserError where it cannot be read.
bool is_there(const RemoteFile& file, const std::filesystem::path& path);

/// Throws Failure where the file system of `folder` has not `num_bytes` left.
void check_free_space(const std::filesystem::path& folder, int64_t num_bytes);

}  // namespace i1
