#include "i1/tables/arrow_library.h"

#include <dlfcn.h>

#include "i1/core/error.h"

namespace i1 {
namespace {

const ArrowLibrary& load() {
  void* library = dlopen("libi1_arrow.so", RTLD_NOW | RTLD_LOCAL);
  const char* reason = library == nullptr ? dlerror() : nullptr;
  check_user(library != nullptr,
             "Parquet, s3:// and gs:// need Apache Arrow, which this build is without: ./run setup "
             "fetches it and builds again (",
             reason == nullptr ? "" : reason, ")");
  using Entry = const ArrowLibrary* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, kArrowEntry));
  check_machine(entry != nullptr, "libi1_arrow.so: is of another build; run ./run setup");
  return *entry();
}

}  // namespace

const ArrowLibrary& arrow_library() {
  static const ArrowLibrary& library = load();
  return library;
}

}  // namespace i1
