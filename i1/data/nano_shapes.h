// The `shapes` set: silhouettes in one colour on a ground of another.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "i1/data/nano_set.h"

namespace i1 {

/// "crab-claw" -> "crab claw", "skateboarding-02" -> "skateboarding". Empty for what shows nothing
/// that can be named ("abstract-011").
std::string name_of_icon(std::string_view icon);

struct ShapesSets {
  NanoSet shapes;          ///< five colour pairs of each silhouette, hidden colours left out
  NanoSet heldout_shapes;  ///< one hidden colour of each of an eighth of the silhouettes
};

/// npm @iconify-json/game-icons.
ShapesSets make_shapes_sets(const std::filesystem::path& sources);

}  // namespace i1
