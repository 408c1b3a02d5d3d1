#include "i1/check/check.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <stdexcept>

#include "i1/check/checkpoint.h"
#include "i1/check/data.h"
#include "i1/check/dit.h"
#include "i1/check/golden_files.h"
#include "i1/check/sampler.h"
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

struct Golden {
  const CheckFamily* family;
  fs::path path;
};

std::vector<fs::path> children_of(const fs::path& folder) {
  std::vector<fs::path> children;
  if (!fs::is_directory(folder)) return children;
  for (const auto& entry : fs::directory_iterator(folder)) children.push_back(entry.path());
  std::sort(children.begin(), children.end());
  return children;
}

// The goldens at or below a path. A damaged file stops everything before the first case is run,
// whether or not a family would have known it whole.
void find_goldens(const fs::path& path, const Families& families, std::vector<Golden>& goldens) {
  check_interrupt();
  check_whole(path);
  Families others;
  for (const CheckFamily* family : families) {
    if (family->matches(path)) {
      goldens.push_back({family, path});
    } else {
      others.push_back(family);
    }
  }
  for (const fs::path& child : children_of(path)) find_goldens(child, others, goldens);
}

// What a golden lacks or has in another form shows where it is used: as an error of the JSON
// library, or of LibTorch where shapes do not fit together.
void run_golden(const Golden& golden, const std::string& device, CheckReport& report) {
  const std::string path = golden.path.string();
  const auto refuse = [&](std::string text) {
    check_interrupt();  // it may have cut a call short
    text = text.substr(0, text.find('\n'));
    throw UserError(concat(path, ": not a whole golden of the family ", golden.family->name, ": ",
                           text.substr(0, text.find("Exception raised from"))));
  };
  const size_t num_before = report.stages().size() + report.left_out().size();
  try {
    golden.family->run(golden.path, device, report);
  } catch (const nlohmann::json::exception& error) {
    const std::string text = error.what();  // "[json.exception.out_of_range.403] key 'x' not found"
    refuse(text.substr(std::min(text.size(), text.find("] ") + 2)));
  } catch (const std::logic_error& error) {  // std::stoi, containers
    refuse(error.what());
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (text.find("memory") != std::string::npos) throw;
    refuse(text);
  }
  check_user(report.stages().size() + report.left_out().size() > num_before, path,
             ": no case in it; expected at least one of the family ", golden.family->name);
}

// Prose beside the goldens.
bool is_document(const fs::path& file) {
  return file.extension() == ".md" || file.filename() == "LICENSE";
}

struct Files {
  std::vector<fs::path> unread;
  bool has_read = false;  // some file is read by a case or left out by name
};

Files files_below(const fs::path& path, const CheckReport& report) {
  Files files;
  const auto add = [&](const fs::path& file) {
    if (!fs::is_regular_file(file) || is_document(file)) return;
    if (report.accounts_for(file)) {
      files.has_read = true;
    } else {
      files.unread.push_back(file);
    }
  };
  if (!fs::is_directory(path)) {
    add(path);
    return files;
  }
  for (const auto& entry : fs::recursive_directory_iterator(path)) add(entry.path());
  std::sort(files.unread.begin(), files.unread.end());
  return files;
}

const char* why_unread(const fs::path& file) {
  const nlohmann::json stored = peek_json(file);
  if (stored.is_object() && !stored.empty() && has_keys(stored.begin().value(), {"max_abs_err"}))
    return "how far float32 is from float64: the tolerances rest on it, nothing to run";
  const Metadata metadata = peek_tensors(file).metadata;
  if (metadata.contains("family")) return "cases of the JAX code's backbones, which no family runs";
  if (metadata.contains("encoder_name")) return "cases of text encoders other than T5Gemma";
  return nullptr;
}

// Names what no case reads; a folder of which nothing is read as a whole.
void name_unread(const fs::path& path, CheckReport& report) {
  const Files files = files_below(path, report);
  if (files.unread.empty()) return;
  if (files.has_read) {
    for (const fs::path& child : children_of(path)) name_unread(child, report);
    return;
  }
  const char* why = nullptr;
  for (const fs::path& file : files.unread) {
    if (why == nullptr) why = why_unread(file);
  }
  const std::string reason =
      why != nullptr ? why : "of no format that a family of this version has";
  const size_t count = files.unread.size();
  report.leave_out(path, count == 1 ? reason : concat(count, " files, ", reason));
}

}  // namespace

const Families& check_families() {
  static const Families families = {&kCheckTraining,   &kCheckDit,     &kCheckSampler,
                                    &kCheckCheckpoint, &kCheckT5Gemma, &kCheckTokenizer,
                                    &kCheckData,       &kCheckVae};
  return families;
}

void check_path(const fs::path& path, const std::string& device, CheckReport& report) {
  check_user(fs::exists(path), path.string(), ": no such file or folder");
  std::vector<Golden> goldens;
  find_goldens(path, check_families(), goldens);
  std::string names;
  for (const CheckFamily* family : check_families())
    names += concat(names.empty() ? " " : ", ", family->name);
  check_user(!goldens.empty(), path.string(),
             ": nothing here is a golden that this program knows; families:", names);
  for (const Golden& golden : goldens) {
    check_interrupt();
    run_golden(golden, device, report);
  }
  name_unread(path, report);
}

}  // namespace i1
