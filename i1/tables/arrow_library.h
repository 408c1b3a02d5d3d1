// The boundary to the library that holds Arrow C++: i1/arrow, libi1_arrow.so. Linked into the
// program, Arrow would cost every start of it 30 ms; so it is loaded when it is first needed, and
// a program built without it does everything else.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "i1/tables/parquet_file.h"

namespace i1 {

/// A file that is read by somebody else than Arrow.
struct ByteSource {
  int64_t size = 0;
  std::function<void(int64_t offset, std::span<std::byte> bytes)> read;
};

/// What the library does. `where` opens its messages. All throw UserError for what is wrong with a
/// file or an address, Failure for what is wrong with the network.
struct ArrowLibrary {
  /// A local path, s3:// or gs:// address; or `bytes`, if given, wherever they come from.
  std::unique_ptr<ParquetFile> (*open)(const std::string& address, const std::string& where,
                                       const ByteSource* bytes);
  /// The addresses of the files below an s3:// or gs:// folder whose names end in .parquet, by
  /// name; the address itself where it is a file.
  std::vector<std::string> (*list)(const std::string& address, const std::string& where);
  /// All bytes of an s3:// or gs:// file, at most `max_bytes`.
  std::string (*read)(const std::string& address, const std::string& where, int64_t max_bytes);
};

/// The name of the function `const ArrowLibrary* NAME()` inside.
inline constexpr const char* kArrowEntry = "i1_arrow_library";

/// Loads it. Throws UserError where this build has none.
const ArrowLibrary& arrow_library();

}  // namespace i1
