// What the fuzz target calls, and the test that replays tests/corpus/tokenizer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "i1/text/tokenizer.h"

namespace i1 {

/// Any bytes as a tokenizer file and a text for it. The lowest bit of the first byte chooses the
/// format, the others how many of the last bytes are the text. Returns, or throws UserError.
inline void fuzz_tokenizer(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto first = static_cast<uint8_t>(bytes[0]);
  bytes.remove_prefix(1);
  const size_t text_size = std::min<size_t>(first >> 1, bytes.size());
  const std::string_view text = bytes.substr(bytes.size() - text_size);
  const std::string_view file = bytes.substr(0, bytes.size() - text_size);
  const Tokenizer tokenizer =
      first & 1 ? parse_tokenizer_json(file, "fuzz") : parse_sentencepiece_model(file, "fuzz");
  tokenizer.decode(tokenizer.encode(text));
  tokenizer.encode_padded(text, 16);
}

}  // namespace i1
