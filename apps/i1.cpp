// One program: `i1 COMMAND ...` goes to one file a command. Exit status: 0 done, 1 a failure of
// ours or the machine's (also a check that does not pass), 2 the user's mistake, 130 interrupted.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/mappings.h"
#include "i1/core/nearest.h"
#include "version.h"

namespace {

struct Command {
  const char* name;
  const char* what;
  int (*run)(int argc, char** argv);
};

constexpr Command kCommands[] = {
    {"generate", "prompts to PNG", i1::run_generate},
    {"download", "published weights, with resume and checks", i1::run_download},
    {"inspect", "what a picture or a file of weights holds", i1::run_inspect},
    {"convert", "a model's weights in another format or type", i1::run_convert},
    {"data", "build training data", i1::run_data},
    {"evaluate", "score a model on a benchmark", i1::run_evaluate},
    {"train", "train a recipe: start or resume", i1::run_train},
    {"check", "run golden cases and print the largest error a stage", i1::run_check},
};

void print_help() {
  std::printf(
      "i1 %s: the native i1 text-to-image model\n\nusage: i1 COMMAND ... (i1 COMMAND --help)\n\n",
      I1_VERSION);
  for (const Command& command : kCommands) std::printf("  %-10s %s\n", command.name, command.what);
  std::printf(
      "\nexit status: 0 done, 1 a failure of the program or the machine (or a check that does not "
      "pass),\n2 a mistake in what was asked, 130 interrupted\n");
}

int dispatch(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0) {
    print_help();
    return argc < 2 ? 2 : 0;
  }
  if (std::strcmp(argv[1], "--version") == 0) {
    std::printf("i1 %s\n", I1_VERSION);
    return 0;
  }
  std::vector<std::string> names = {"--help", "--version"};
  for (const Command& command : kCommands) {
    if (std::strcmp(argv[1], command.name) == 0) return command.run(argc - 1, argv + 1);
    names.push_back(command.name);
  }
  throw i1::UserError(i1::concat("unknown command \"", argv[1], "\"; nearest: \"",
                                 i1::nearest(argv[1], names), "\""));
}

int run(int argc, char** argv) {
  try {
    const int status = dispatch(argc, argv);
    i1::check_lost_pages();
    i1::check_machine(std::fflush(stdout) == 0 && std::ferror(stdout) == 0,
                      "standard output cannot be written");
    return status;
  } catch (const std::filesystem::filesystem_error& error) {
    i1::throw_system_error(error.path1(), "cannot be used", error.code().value());
  }
}

// One line, whatever file names and texts of others it quotes.
int complain(std::string message, int status) {
  if (std::string lost = i1::lost_page_message(); !lost.empty()) {  // zeros explain every other
    message = std::move(lost);
    status = 1;
  }
  for (char& c : message)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  std::fprintf(stderr, "i1: %s\n", message.c_str());
  return status;
}

// What is neither ours nor the user's: no memory, or a mistake in the program.
std::string explain(const std::exception& error) {
  if (dynamic_cast<const i1::Failure*>(&error) != nullptr) return error.what();
  const std::string text = error.what();
  const bool is_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                         text.find("allocate memory") != std::string::npos ||
                         text.find("out of memory") != std::string::npos;
  if (is_memory) return "out of memory; ask for a smaller size, batch or model";
  // LibTorch's errors carry a back trace below their first line.
  return "a mistake in the program, please report it: " + text.substr(0, text.find('\n'));
}

}  // namespace

int main(int argc, char** argv) {
  i1::catch_interrupts();
  i1::catch_lost_pages();
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit on files fails instead
  try {
    return run(argc, argv);
  } catch (const i1::UserError& error) {
    return complain(error.what(), 2);
  } catch (const i1::Interrupted& interrupted) {
    return complain(interrupted.what(), 130);
  } catch (const std::exception& error) {
    if (i1::is_interrupted()) return complain("interrupted", 130);  // it cut a call short
    return complain(explain(error), 1);
  }
}
