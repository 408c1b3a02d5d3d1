// What a check of golden values found: one line a stage, with the largest error and the tolerance
// it had.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <set>
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

  /// A file, or a folder with all that it holds, that this version does not run, and why. Printed,
  /// neither passed nor failed.
  void leave_out(const std::filesystem::path& path, const std::string& reason);

  /// A case reads this file, or this folder with all that it holds.
  void use(const std::filesystem::path& path);

  /// Whether a case reads the file or it is left out by name.
  bool accounts_for(const std::filesystem::path& file) const;

  const std::vector<StageResult>& stages() const { return stages_; }
  const std::vector<std::string>& left_out() const { return left_out_; }
  bool passed() const;  ///< true where at least one stage ran and every one passed

 private:
  std::vector<StageResult> stages_;
  std::vector<std::string> left_out_;
  std::set<std::filesystem::path> used_;  // canonical
};

/// One family of golden files. `matches` goes by what a file or folder holds, so that another case
/// of the same format is found under any name; `run` adds to the report and throws UserError only
/// where the golden itself is damaged.
struct CheckFamily {
  const char* name;
  const char* what;  ///< one line for --help
  bool (*matches)(const std::filesystem::path& path);
  void (*run)(const std::filesystem::path& path, const std::string& device, CheckReport& report);
};

}  // namespace i1
