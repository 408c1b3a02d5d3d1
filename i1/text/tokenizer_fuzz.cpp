// Any bytes as a tokenizer file: an error, or a tokenizer that encodes and decodes. The first byte
// chooses the format and how much of the rest is the text to encode.
#include <algorithm>
#include <cstdint>

#include "i1/core/error.h"
#include "i1/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t text_size = std::min<size_t>(data[0] >> 1, bytes.size());
  const std::string_view text = bytes.substr(bytes.size() - text_size);
  const std::string_view file = bytes.substr(0, bytes.size() - text_size);
  try {
    const i1::Tokenizer tokenizer = data[0] & 1 ? i1::parse_tokenizer_json(file, "fuzz")
                                                : i1::parse_sentencepiece_model(file, "fuzz");
    tokenizer.decode(tokenizer.encode(text));
    tokenizer.encode_padded(text, 16);
  } catch (const i1::UserError&) {
  }
  return 0;
}
