// What the benchmark programs that read or write files share.
#pragma once

#include <cstdio>
#include <exception>
#include <filesystem>

namespace i1 {

/// The folder of the running program; bundled weights lie in weights/ above it.
inline std::filesystem::path program_folder() {
  return std::filesystem::canonical("/proc/self/exe").parent_path();
}

/// Runs a program; an error ends it with one line and status 1.
inline int run_program(const char* name, int (*run)(int, char**), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 1;
  }
}

}  // namespace i1
