// What the commands that read raw pictures share.
#pragma once

#include <filesystem>

#include "i1/data/tar_set.h"

namespace i1 {

/// The pictures of a folder or, with their captions, of tar files; those that share a key are
/// marked.
TarSet read_pictures(const std::filesystem::path& pictures, bool is_of_tars);

}  // namespace i1
