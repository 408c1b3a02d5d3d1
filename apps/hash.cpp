// i1 data hash: what tells duplicates, before a set is built.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/build.h"
#include "apps/commands.h"
#include "apps/options.h"
#include "i1/data/duplicates.h"

namespace i1 {

int run_data_hash(int argc, char** argv) {
  CLI::App app("Hashes pictures, for i1 data build --skip-duplicates.");
  app.require_subcommand(1);
  std::filesystem::path pictures, output;
  std::string part = "0/1";
  MachineOptions machine;
  CLI::App& folder = *app.add_subcommand("folder", "a folder of pictures");
  CLI::App& tars = *app.add_subcommand("webdataset", "a tar file, or a folder of .tar files");
  for (CLI::App* source : {&folder, &tars}) {
    source->add_option("--pictures", pictures, "as for i1 data build")->required();
    source->add_option("--output", output, "folder for the hashes")->required();
    source->add_option("--shard", part, "K/N: worker K of N hashes its share of the pictures")
        ->capture_default_str();
    add_threads_option(*source, machine);
  }
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);
  const WorkPart work = parse_work_part(part);
  const TarSet found = read_pictures(pictures, tars.parsed());
  const bool is_new = write_hashes(found.pictures, work, output);
  std::printf("%s: part %s of the hashes of %zu pictures%s\n", output.c_str(), part.c_str(),
              found.pictures.size(), is_new ? "" : " was there already");
  return 0;
}

}  // namespace i1
