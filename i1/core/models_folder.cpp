#include "i1/core/models_folder.h"

#include <cstdlib>
#include <string>

#include "i1/core/error.h"

namespace i1 {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::filesystem::path models_folder() {
  if (const std::string own = variable("I1_MODELS"); !own.empty()) return own;
  const std::filesystem::path cache = variable("XDG_CACHE_HOME");
  if (cache.is_absolute()) return cache / "i1";  // the standard ignores relative ones
  const std::string home = variable("HOME");
  check_user(!home.empty(),
             "no folder for models: none of I1_MODELS, XDG_CACHE_HOME and HOME is set");
  return std::filesystem::path(home) / ".cache" / "i1";
}

}  // namespace i1
