// Every run of the project as a function: read top to bottom, a variant is its parent plus the
// lines that differ.
#pragma once

#include <string>
#include <vector>

#include "i1/train/config.h"

namespace i1 {

/// The bundled model, in stages that follow each other (recipes/nano.cpp says what each takes).
std::vector<TrainConfig> nano_stages();

/// A few thousand parameters; seconds. For tests and for trying things out.
TrainConfig tiny();

/// The paper's stages of i1-3B and its quick start.
TrainConfig i1_256();
TrainConfig i1_512();
TrainConfig i1_1024();
TrainConfig quick_start();

/// Names that `find_recipe` takes.
std::vector<std::string> recipe_names();

/// The stages of a recipe by name, most of them one. Throws UserError, naming the nearest and all
/// that there are, for an unknown one.
std::vector<TrainConfig> find_recipe(const std::string& name);

}  // namespace i1
