#pragma once

#include <cstddef>
#include <string_view>

namespace i1 {

/// Bytes of the UTF-8 character that `text` starts with (1 to 4); 0 where it starts with none:
/// empty text, a stray continuation byte, an overlong form, a surrogate, a value above U+10FFFF, a
/// cut-off sequence (Unicode 15, table 3-7).
size_t utf8_length(std::string_view text);

}  // namespace i1
