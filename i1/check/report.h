// What a check of golden values found: one line a stage, with the largest error and the tolerance
// it had.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace i1 {

struct StageResult {
  std::string golden;  ///< the file or folder, as the user named it
  std::string case_name;
  std::string stage;  ///< "output", "block0.norm1.image", ...
  double error = 0;   ///< largest absolute difference, or the number of differing entries where
                      ///< values are exact
  double tolerance = 0;
  bool passed = false;
  std::string note;  ///< why it failed, or what the comparison leaves out; may be empty
};

class CheckReport {
 public:
  /// Compares in float64: passes where shapes agree, every value is finite and max |found -
  /// expected| <= tolerance.
  void compare(const std::string& golden, const std::string& case_name, const std::string& stage,
               const at::Tensor& found, const at::Tensor& expected, double tolerance,
               const std::string& note = "");

  /// For values that must agree exactly: `num_different` of them do not.
  void exact(const std::string& golden, const std::string& case_name, const std::string& stage,
             int64_t num_different, const std::string& note = "");

  /// A stage that could not be run at all; counts as failed.
  void fail(const std::string& golden, const std::string& case_name, const std::string& stage,
            const std::string& reason);

  /// A golden of a known format that this version does not run, and why. Printed, neither passed
  /// nor failed.
  void leave_out(const std::string& golden, const std::string& reason) {
    left_out_.push_back(golden + ": " + reason);
  }

  const std::vector<StageResult>& stages() const { return stages_; }
  const std::vector<std::string>& left_out() const { return left_out_; }
  bool passed() const;  ///< true where at least one stage ran and every one passed

 private:
  std::vector<StageResult> stages_;
  std::vector<std::string> left_out_;
};

/// One family of golden files. `matches` looks at names and headers only; `run` adds to the report
/// and throws UserError only where the golden itself is damaged.
struct CheckFamily {
  const char* name;
  const char* what;  ///< one line for --help
  bool (*matches)(const std::filesystem::path& path);
  void (*run)(const std::filesystem::path& path, const std::string& device, CheckReport& report);
};

}  // namespace i1
