// i1 check FOLDER|FILE...: golden cases through this build, on this machine and device.
#include "i1/check/check.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/options.h"

namespace i1 {
namespace {

nlohmann::ordered_json to_json(const StageResult& stage) {
  return {{"golden", stage.golden}, {"case", stage.case_name},      {"stage", stage.stage},
          {"error", stage.error},   {"tolerance", stage.tolerance}, {"passed", stage.passed},
          {"note", stage.note}};
}

void print(const StageResult& stage) {
  std::printf("%s  %-28s %-44s %9.3g  (at most %.3g)%s%s\n", stage.passed ? "ok  " : "FAIL",
              stage.case_name.c_str(), stage.stage.c_str(), stage.error, stage.tolerance,
              stage.note.empty() ? "" : "  ", stage.note.c_str());
}

// One line a golden: its worst stage relative to its tolerance.
void print_summary(const std::vector<StageResult>& stages) {
  std::map<std::string, std::pair<int64_t, int64_t>> passed_and_failed;
  std::map<std::string, const StageResult*> worst;
  for (const StageResult& stage : stages) {
    auto& counts = passed_and_failed[stage.golden];
    ++(stage.passed ? counts.first : counts.second);
    const StageResult*& current = worst[stage.golden];
    const auto share = [](const StageResult& s) {
      return s.tolerance > 0 ? s.error / s.tolerance : s.error;
    };
    if (current == nullptr || share(stage) > share(*current)) current = &stage;
  }
  for (const auto& [golden, counts] : passed_and_failed) {
    const StageResult& stage = *worst[golden];
    std::printf("%s  %s: %ld stages, %ld failed; largest error %.3g of %.3g at %s %s\n",
                counts.second == 0 ? "ok  " : "FAIL", golden.c_str(), counts.first + counts.second,
                counts.second, stage.error, stage.tolerance, stage.case_name.c_str(),
                stage.stage.c_str());
  }
}

}  // namespace

int run_check(int argc, char** argv) {
  CLI::App app(
      "Runs golden cases and prints the largest error of each stage; exit status 1 above "
      "tolerance.");
  std::vector<std::string> paths;
  bool as_json = false, is_verbose = false;
  MachineOptions machine;
  app.add_option("paths", paths, "golden folders or files")->required();
  app.add_flag("--json", as_json, "one JSON object with every stage");
  app.add_flag("-v,--verbose", is_verbose, "a line for every stage, not only for failures");
  add_machine_options(app, machine);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  apply(machine);

  CheckReport report;
  for (const std::string& path : paths) check_path(path, machine.device, report);
  if (as_json) {
    nlohmann::ordered_json stages = nlohmann::json::array();
    for (const StageResult& stage : report.stages()) stages.push_back(to_json(stage));
    const nlohmann::ordered_json json = {
        {"passed", report.passed()}, {"stages", stages}, {"left_out", report.left_out()}};
    std::printf("%s\n", json.dump(1).c_str());
  } else {
    for (const StageResult& stage : report.stages()) {
      if (is_verbose || !stage.passed) print(stage);
    }
    print_summary(report.stages());
    for (const std::string& golden : report.left_out())
      std::printf("left out  %s\n", golden.c_str());
  }
  return report.passed() ? 0 : 1;
}

}  // namespace i1
