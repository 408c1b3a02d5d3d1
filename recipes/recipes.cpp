#include "recipes/recipes.h"

#include "i1/core/error.h"
#include "i1/core/nearest.h"

namespace i1 {
namespace {

struct Entry {
  const char* name;
  std::vector<TrainConfig> (*stages)();
};

template <TrainConfig (*recipe)()>
std::vector<TrainConfig> single() {
  return {recipe()};
}

constexpr Entry kRecipes[] = {
    {"nano", nano_stages},      {"tiny", single<tiny>},       {"i1_256", single<i1_256>},
    {"i1_512", single<i1_512>}, {"i1_1024", single<i1_1024>}, {"quick_start", single<quick_start>},
};

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kRecipes) names.push_back(entry.name);
  return names;
}

std::vector<TrainConfig> find_recipe(const std::string& name) {
  for (const Entry& entry : kRecipes) {
    if (name == entry.name) return entry.stages();
  }
  std::string known;
  for (const Entry& entry : kRecipes) known += std::string(known.empty() ? "" : ", ") + entry.name;
  throw UserError(concat("unknown recipe \"", name, "\"; nearest: \"",
                         nearest(name, recipe_names()), "\"; there are ", known));
}

}  // namespace i1
