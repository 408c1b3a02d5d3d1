#pragma once

#include <string>
#include <string_view>

namespace i1 {

/// RFC 4648, padded, on one line.
std::string encode_base64(std::string_view bytes);

/// Throws UserError where the text is none.
std::string decode_base64(std::string_view text);

}  // namespace i1
