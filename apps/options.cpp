#include "apps/options.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "i1/core/error.h"
#include "i1/core/nearest.h"

namespace i1 {
namespace {

constexpr int kMaxThreads = 1024;

// What may stand where nothing known does: the next command's names.
std::vector<std::string> subcommands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

}  // namespace

CLI::Validator real_number(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) -> std::string {
        double value = 0;
        const char* end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, value);
        if (read.ec == std::errc() && read.ptr == end && value >= low && value <= high) return "";
        return concat("\"", text, "\": expected a number, ", low, " to ", high);
      },
      "");
}

void add_threads_option(CLI::App& app, MachineOptions& options) {
  app.add_option("--threads", options.num_threads, "CPU threads; 0 = all cores")
      ->check(whole_number(0, kMaxThreads))
      ->capture_default_str();
}

void add_machine_options(CLI::App& app, MachineOptions& options) {
  app.add_option("--device", options.device, "cpu, cuda or cuda:N")->capture_default_str();
  add_threads_option(app, options);
}

void apply(const MachineOptions& options) {
  const std::string& device = options.device;
  const bool has_number = device.size() > 5 && device.size() < 8 && device.starts_with("cuda:") &&
                          device.find_first_not_of("0123456789", 5) == std::string::npos;
  const bool is_cuda = device == "cuda" || has_number;
  check_user(is_cuda || options.device == "cpu", "--device ", options.device,
             ": expected cpu, cuda or cuda:N");
  check_user(!is_cuda || at::hasCUDA(), "--device ", options.device,
             ": this build or machine has no CUDA; use --device cpu");
  const int64_t num_devices = is_cuda ? at::detail::getCUDAHooks().deviceCount() : 0;
  check_user(!has_number || std::stoll(device.substr(5)) < num_devices, "--device ", device,
             ": this machine has ", num_devices, " CUDA devices, counted from 0");
  if (options.num_threads > 0) at::set_num_threads(options.num_threads);
}

std::filesystem::path program_folder() {
  return std::filesystem::canonical("/proc/self/exe").parent_path();
}

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> words = app.remaining(/*recurse=*/true);
    std::vector<std::string> flags, commands = subcommands_of(app);
    for (const CLI::App* level = &app; level != nullptr;) {  // the command and its sub-commands
      for (const CLI::Option* option : level->get_options()) {
        for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
      }
      const auto below = level->get_subcommands();
      commands = subcommands_of(*level);
      level = below.empty() ? nullptr : below.front();
    }
    for (const std::string& word : words) {
      const std::string flag = word.substr(0, word.find('='));
      check_user(!flag.starts_with("-"), "unknown flag ", flag,
                 "; nearest: ", nearest(flag, flags));
    }
    if (!words.empty()) {
      throw UserError(concat(
          "unexpected argument \"", words.front(), "\"",
          commands.empty() ? "" : concat("; nearest: \"", nearest(words.front(), commands), "\"")));
    }
    std::string expected;
    for (const std::string& command : commands) expected += " " + command;
    throw UserError(concat(error.what(), expected.empty() ? "" : "; expected one of:", expected));
  }
  return -1;
}

}  // namespace i1
