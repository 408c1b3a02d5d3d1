// i1 train RECIPE [key=value ...]: its stages one after the other, each started or resumed.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/commands.h"
#include "apps/options.h"
#include "apps/training_run.h"
#include "i1/core/config.h"
#include "i1/core/error.h"
#include "i1/core/nearest.h"
#include "recipes/recipes.h"

namespace i1 {

int run_train(int argc, char** argv) {
  CLI::App app(
      "Trains a recipe, stage by stage: starts, or resumes where the work folder holds a "
      "checkpoint.");
  std::string recipe, stage;
  std::vector<std::string> overrides;
  std::filesystem::path exported;
  std::string vae = "taef2";
  RunFolders folders;
  MachineOptions machine;
  app.add_option("RECIPE", recipe, "name of a recipe (recipes/recipes.h)")->required();
  app.add_option("OVERRIDES", overrides, "key=value for any field of the recipe");
  app.add_option("--data-root", folders.data_root, "folder that holds the latent caches")
      ->required();
  app.add_option("--output", folders.output, "work folder, one folder a stage")->required();
  app.add_option("--stage", stage, "only this stage of the recipe");
  app.add_option("--vae", vae, "autoencoder of the sample sheets: a bundled name or a path")
      ->capture_default_str();
  app.add_option("--export", exported,
                 "write the newest checkpoint of --stage to this folder for i1 generate; train "
                 "nothing");
  add_machine_options(app, machine);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);
  check_user(!folders.output.empty(), "--output is empty; expected the work folder");
  check_user(app.get_option("--export")->count() == 0 || !exported.empty(),
             "--export is empty; expected a folder for the model");
  folders.vae = find_weights(vae, program_folder());

  std::vector<TrainConfig> stages = find_recipe(recipe);
  std::vector<std::string> names;
  for (const TrainConfig& config : stages) names.push_back(config.recipe);
  if (!stage.empty()) {
    std::erase_if(stages, [&](const TrainConfig& config) { return config.recipe != stage; });
    check_user(!stages.empty(), "--stage ", stage, ": recipe ", recipe,
               " has no such stage; nearest: ", nearest(stage, names));
  }
  check_user(exported.empty() || stages.size() == 1, "--export: name one stage with --stage");
  for (TrainConfig& config : stages) {
    for (const std::string& override_text : overrides) set_field(config, override_text);
    if (!exported.empty()) {
      export_stage(config, folders, exported);
    } else {
      run_stage(config, folders, at::Device(machine.device));
    }
  }
  return 0;
}

}  // namespace i1
