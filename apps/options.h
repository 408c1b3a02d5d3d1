// What every command's command line shares.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <limits>
#include <string>

#include "i1/core/error.h"

namespace i1 {

struct MachineOptions {
  std::string device = "cpu";  ///< cpu, cuda or cuda:N
  int num_threads = 0;         ///< 0 = all cores
};

/// For `check`: a whole number of type T in low..high, in decimal; no sign, point or exponent that
/// the type does not take.
template <class T>
CLI::Validator whole_number(T low, T high = std::numeric_limits<T>::max()) {
  CLI::Validator validator(
      [low, high](std::string& text) -> std::string {
        T value = 0;
        const char* end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, value);
        const bool is_number = read.ec == std::errc() && read.ptr == end;
        if (is_number && value >= low && value <= high) {
          text = std::to_string(value);  // CLI11 would take 010 for 8
          return "";
        }
        const bool is_open = high == std::numeric_limits<T>::max();
        return concat("\"", text, "\": expected a whole number, ", low,
                      is_open ? " or more" : concat(" to ", high));
      },
      "");
  return validator;
}

/// For `check`: a number in low..high, never nan or infinity.
CLI::Validator real_number(double low, double high);

void add_threads_option(CLI::App& app, MachineOptions& options);
/// --device and --threads.
void add_machine_options(CLI::App& app, MachineOptions& options);

/// Sets the number of threads and checks that the device is there. Throws UserError where it is
/// not.
void apply(const MachineOptions& options);

/// The folder of the running executable; bundled weights lie in weights/ above it.
std::filesystem::path program_folder();

/// Parses; returns -1 to go on, otherwise the exit status (0 after --help). An unknown flag is a
/// UserError that names the nearest one.
int parse(CLI::App& app, int argc, char** argv);

}  // namespace i1
