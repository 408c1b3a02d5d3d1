#pragma once

#include <filesystem>

namespace i1 {

/// Where downloaded models lie, each in a folder of its name: $I1_MODELS, else
/// $XDG_CACHE_HOME/i1, else ~/.cache/i1. It need not be there. Throws UserError where none of the
/// variables is set.
std::filesystem::path models_folder();

}  // namespace i1
