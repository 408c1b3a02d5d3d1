#pragma once

#include <string>
#include <string_view>

namespace i1 {

/// The digest of some bytes in lower-case hexadecimal digits.
std::string md5_hex(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);

}  // namespace i1
