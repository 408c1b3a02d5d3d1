// Any bytes as a tokenizer file: see fuzz_tokenizer.h. Seeds: tests/corpus/tokenizer.
#include "i1/text/fuzz_tokenizer.h"

#include "i1/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    i1::fuzz_tokenizer({reinterpret_cast<const char*>(data), size});
  } catch (const i1::UserError&) {
  }
  return 0;
}
