#include "i1/check/check.h"

#include <algorithm>

#include "i1/check/checkpoint.h"
#include "i1/check/data.h"
#include "i1/check/dit.h"
#include "i1/check/t5gemma.h"
#include "i1/check/tokenizer.h"
#include "i1/check/training.h"
#include "i1/check/vae.h"
#include "i1/core/error.h"
#include "i1/core/interrupt.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using Families = std::vector<const CheckFamily*>;

// Returns how many goldens were run.
int64_t visit(const fs::path& path, const Families& families, const std::string& device,
              CheckReport& report) {
  check_interrupt();
  int64_t num_run = 0;
  Families others;
  for (const CheckFamily* family : families) {
    if (!family->matches(path)) {
      others.push_back(family);
      continue;
    }
    family->run(path, device, report);
    ++num_run;
  }
  if (!fs::is_directory(path)) return num_run;
  std::vector<fs::path> children;
  for (const auto& entry : fs::directory_iterator(path)) children.push_back(entry.path());
  std::sort(children.begin(), children.end());
  for (const fs::path& child : children) num_run += visit(child, others, device, report);
  return num_run;
}

}  // namespace

const Families& check_families() {
  static const Families families = {&kCheckTraining, &kCheckDit,       &kCheckCheckpoint,
                                    &kCheckT5Gemma,  &kCheckTokenizer, &kCheckData,
                                    &kCheckVae};
  return families;
}

void check_path(const fs::path& path, const std::string& device, CheckReport& report) {
  check_user(fs::exists(path), path.string(), ": no such file or folder");
  std::string names;
  for (const CheckFamily* family : check_families())
    names += concat(names.empty() ? " " : ", ", family->name);
  check_user(visit(path, check_families(), device, report) > 0, path.string(),
             ": nothing here is a golden that this program knows; families:", names);
}

}  // namespace i1
