#include "i1/check/report.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/max.h>

#include <algorithm>

#include "i1/core/error.h"

namespace i1 {

namespace fs = std::filesystem;

void CheckReport::compare(const std::string& golden, const std::string& case_name,
                          const std::string& stage, const at::Tensor& found,
                          const at::Tensor& expected, double tolerance, const std::string& note) {
  if (found.sizes() != expected.sizes()) {
    return fail(golden, case_name, stage,
                concat("found shape ", found.sizes(), ", expected ", expected.sizes()));
  }
  if (found.numel() == 0) return fail(golden, case_name, stage, "nothing to compare");
  const at::Tensor wide = found.to(at::kCPU, at::kDouble);
  if (!at::isfinite(wide).all().item<bool>())
    return fail(golden, case_name, stage, "found values that are not finite");
  const double error = at::max(at::abs(wide - expected.to(at::kCPU, at::kDouble))).item<double>();
  stages_.push_back({golden, case_name, stage, error, tolerance, error <= tolerance, note});
}

void CheckReport::exact(const std::string& golden, const std::string& case_name,
                        const std::string& stage, int64_t num_different, const std::string& note) {
  stages_.push_back(
      {golden, case_name, stage, static_cast<double>(num_different), 0, num_different == 0, note});
}

void CheckReport::fail(const std::string& golden, const std::string& case_name,
                       const std::string& stage, const std::string& reason) {
  stages_.push_back({golden, case_name, stage, 0, 0, false, reason});
}

void CheckReport::leave_out(const fs::path& path, const std::string& reason) {
  use(path);
  left_out_.push_back(path.string() + ": " + reason);
}

void CheckReport::use(const fs::path& path) { used_.insert(fs::weakly_canonical(path)); }

bool CheckReport::accounts_for(const fs::path& file) const {
  fs::path path = fs::weakly_canonical(file);
  while (!used_.contains(path)) {
    if (path == path.parent_path()) return false;
    path = path.parent_path();
  }
  return true;
}

bool CheckReport::passed() const {
  return !stages_.empty() && std::all_of(stages_.begin(), stages_.end(),
                                         [](const StageResult& stage) { return stage.passed; });
}

}  // namespace i1
