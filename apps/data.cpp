// i1 data: hands over to the commands that make and read training data; verify is its own.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string_view>
#include <vector>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/data/verify.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

struct Command {
  const char* name;
  int (*run)(int argc, char** argv);
  const char* what;
};

// Each has a parser of its own.
constexpr Command kCommands[] = {
    {"fetch", run_data_fetch, "fetch the pictures of a list of addresses"},
    {"caption", run_data_caption, "describe pictures by a vision model"},
    {"hash", run_data_hash, "hash pictures, to leave out duplicates"},
    {"build", run_data_build, "make a data set from raw pictures and captions"},
    {"merge", run_data_merge, "complete a data set that several workers built; join sets"},
    {"tokenizer", run_data_tokenizer, "learn a tokenizer from captions"},
    {"cache", run_data_cache, "encode pictures and captions once"},
};

// Returns whether nothing is wrong.
bool print(const fs::path& folder, const VerifyReport& report) {
  std::printf("%s: %ld records in %ld shards, %ld captions, %.1f MB\n", folder.c_str(),
              report.num_records, report.num_shards, report.num_captions,
              static_cast<double>(report.num_payload_bytes) / 1e6);
  if (!report.metadata_fault.empty()) std::printf("%s\n", report.metadata_fault.c_str());
  for (const std::string& fault : report.file_faults) std::printf("%s\n", fault.c_str());
  std::fputs(report.bad.report().c_str(), stdout);
  std::fflush(stdout);
  return report.is_good();
}

}  // namespace

int run_data(int argc, char** argv) {
  for (const Command& command : kCommands)
    if (argc > 1 && std::string_view(argv[1]) == command.name)
      return command.run(argc - 1, argv + 1);
  CLI::App app(
      "Training data: from pictures and captions (fetch, caption, hash) to shards (build, merge, "
      "verify), from shards to what training reads (tokenizer, cache).");
  app.require_subcommand(1);
  for (const Command& command : kCommands) app.add_subcommand(command.name, command.what);
  MachineOptions machine;
  std::vector<fs::path> sets;
  CLI::App& verify = *app.add_subcommand(
      "verify",
      "read every record of some sets and count what is wrong; exit status 1 if anything");
  verify.add_option("FOLDERS", sets, "data sets")->required();
  add_threads_option(verify, machine);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);
  bool is_good = true;
  for (const fs::path& set : sets) is_good = print(set, verify_records(set)) && is_good;
  return is_good ? 0 : 1;
}

}  // namespace i1
