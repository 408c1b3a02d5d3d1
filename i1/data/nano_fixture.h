// For tests: a folder of tiny packages, shaped as the real ones are, so that everything but the
// downloads runs.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "i1/core/testing.h"

namespace i1 {

/// Writes a file and the folders above it.
void put_file(const std::filesystem::path& path, std::string_view text);

/// A folder with npm and Debian packages of a few drawings: a cook in three genders and six tones,
/// 150 countable animals ("animal aa" ...), a flag, a trademark, an emoji without name; clip art,
/// stamps, silhouettes, words and definitions. Fonts are absent.
std::filesystem::path make_nano_sources(const std::string& name);

}  // namespace i1
