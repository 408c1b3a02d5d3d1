// Any bytes as a GGUF file: see fuzz_readers.h. Seeds: tests/corpus/gguf.
#include "i1/core/error.h"
#include "i1/io/fuzz_readers.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    i1::fuzz_gguf({reinterpret_cast<const char*>(data), size});
  } catch (const i1::UserError&) {
  } catch (const i1::Failure&) {
  }
  return 0;
}
