// For tests: folders to write to, and what bad input gets.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "i1/core/error.h"
#include "i1/core/files.h"

namespace i1 {

/// An empty folder that no other process uses, gone when this one ends. The same name again: the
/// same folder, emptied.
inline std::filesystem::path fresh_folder(const std::string& name) {
  static const TemporaryFolder root("test");
  const std::filesystem::path folder = root.path() / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

/// `run` must throw a UserError of one line that holds `expected`.
inline void expect_error(const std::string& expected, const std::function<void()>& run) {
  try {
    run();
    ADD_FAILURE() << "accepted: " << expected;
  } catch (const UserError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find(expected), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

}  // namespace i1
