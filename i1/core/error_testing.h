// For tests of what bad input gets.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "i1/core/error.h"

namespace i1 {

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
