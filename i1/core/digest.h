#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace i1 {

/// The digest of some bytes in lower-case hexadecimal digits.
std::string md5_hex(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);

/// The same of a file of any size. Throws UserError where it cannot be read, Interrupted.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace i1
