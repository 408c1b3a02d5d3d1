#include "i1/check/dit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <algorithm>

#include "i1/check/golden_files.h"
#include "i1/core/error.h"
#include "i1/model/weights.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kTolerance = 5e-5;  // goldens/dit/README.md, "Tolerances"

// One object a case, below "cases" or alone.
json cases_of(const json& stored) {
  return stored.is_object() && stored.contains("cases") ? stored["cases"] : stored;
}

// The three files of a set of cases, named by the JSON one.
struct CaseSet {
  fs::path path;
  json cases;
  TensorMap weights, tensors;

  CaseSet(const fs::path& json_path, CheckReport& report) : path(json_path) {
    const std::string stem = (path.parent_path() / path.stem()).string();
    cases = cases_of(read_json(path, report));
    weights = read_golden(stem + "_weights.safetensors", report);
    tensors = read_golden(stem + "_cases.safetensors", report);
  }

  const at::Tensor& tensor(const std::string& key) const {
    return take(tensors, key, path.string() + ": the cases file");
  }

  // A key is stored under its own name, under `stored_as`, or as <case>/<key> where the case owns
  // its tables.
  DualStream model(const std::string& name) const {
    const json& entry = cases.at(name);
    TensorMap own;
    for (const std::string key : entry.at("keys")) {
      const json stored_as = entry.value("stored_as", json::object());
      const std::string stored = stored_as.value(key, key);
      for (const std::string& place : {name + "/" + stored, stored}) {
        const auto found = weights.find(place);
        if (found == weights.end()) continue;
        own[key] = found->second;
        break;
      }
      check_user(own.contains(key), path.string(), ": case ", name, ": no tensor \"", stored,
                 "\" among the weights");
    }
    return load_dual_stream(config_from_reference(entry.at("config")), own,
                            path.string() + ": case " + name);
  }
};

struct Inputs {
  at::Tensor x, caption, mask;
};

Inputs inputs_of(const CaseSet& set, const std::string& name) {
  const auto mask = set.tensors.find(name + "/mask");
  return {set.tensor(name + "/x"), set.tensor(name + "/caption"),
          mask == set.tensors.end() ? at::Tensor() : mask->second};
}

struct Run {
  Condition condition;
  Layout layout;
  at::Tensor output;
};

Run run_model(const DualStream& stored, const Inputs& inputs, const std::string& device,
              const Observer* observer = nullptr) {
  const DualStream model = compute_copy(stored, at::kFloat, at::Device(device));
  const Captions captions = captions_from_padded(inputs.caption.to(at::Device(device)));
  const at::Tensor adapted = adapt(model.text_encoder_adapter, model.config, captions, observer);
  Run run;
  run.condition = condition_from_padded(
      adapted.view({inputs.caption.size(0), inputs.caption.size(1), model.config.hidden_size}),
      inputs.mask);
  run.layout = make_layout(model, inputs.x.size(2), inputs.x.size(3), run.condition);
  run.output =
      velocity(model, inputs.x.to(at::Device(device)), run.condition, run.layout, observer);
  return run;
}

// Where the stages of a packed run lie in the padded tensors of the golden.
class StageComparison {
 public:
  StageComparison(const std::string& golden, const Run& run, const at::Tensor& mask,
                  CheckReport& report)
      : golden_(golden), run_(run), mask_(mask), report_(report) {}

  void compare(const std::string& key, const at::Tensor& expected, const TensorMap& seen) {
    std::string stage = key;
    if (stage.starts_with("block0.")) stage = "in_blocks.0." + stage.substr(7);
    for (const char* stream : {"image", "text"}) {
      for (const char* separator : {".", "_"}) {
        const std::string suffix = std::string(separator) + stream;
        if (!stage.ends_with(suffix)) continue;
        return compare_stream(key, expected,
                              find(seen, stage.substr(0, stage.size() - suffix.size())),
                              stream[0] == 't');
      }
    }
    compare_whole(key, expected, find(seen, stage));
  }

 private:
  static at::Tensor find(const TensorMap& seen, const std::string& stage) {
    const auto found = seen.find(stage);
    return found == seen.end() ? at::Tensor() : found->second;
  }

  void add(const std::string& key, const at::Tensor& found, const at::Tensor& expected,
           const std::string& note = "") {
    report_.compare(golden_, "stages", key, found, expected, kTolerance, note);
  }

  // (N, ...) rows of one stream against (B, tokens, ...) or, for heads, (B, H, tokens, E).
  void compare_stream(const std::string& key, at::Tensor expected, const at::Tensor& found,
                      bool is_text) {
    if (!found.defined())
      return report_.fail(golden_, "stages", key, "the model reports no such stage");
    if (found.dim() == 3) expected = expected.transpose(1, 2);  // (B, tokens, H, E)
    const int64_t M = run_.layout.num_image_rows;
    if (!is_text) return add(key, found.narrow(0, 0, M).reshape_as(expected), expected);
    if (found.size(0) <= M)
      return report_.fail(golden_, "stages", key, "no text rows in this stage");
    add(key, found.narrow(0, M, found.size(0) - M),
        expected.flatten(0, 1).index({mask_.flatten() != 0}), "valid text rows");
  }

  void compare_whole(const std::string& key, at::Tensor expected, const at::Tensor& found) {
    if (key.starts_with("rope.")) return compare_angles(key, expected);
    if (!found.defined())
      return report_.fail(golden_, "stages", key, "the model reports no such stage");
    if (found.numel() == expected.numel()) return add(key, found.reshape_as(expected), expected);
    if (expected.dim() == 4) expected = expected.transpose(1, 2);  // (B, S, H, E), image first
    const at::Tensor joint =
        joint_rows(expected, /*text_first=*/false).reshape({found.size(0), -1});
    add(key, found.flatten(1), joint, "valid rows");
  }

  // Rows of (B, S, ...) in the order of the packed buffer.
  at::Tensor joint_rows(const at::Tensor& expected, bool text_first) const {
    const int64_t I = run_.layout.rows * run_.layout.columns, T = mask_.size(1);
    const at::Tensor image = expected.narrow(1, text_first ? T : 0, I),
                     text = expected.narrow(1, text_first ? 0 : I, T);
    return at::cat({image.flatten(0, 1), text.flatten(0, 1).index({mask_.flatten() != 0})});
  }

  void compare_angles(const std::string& key, const at::Tensor& expected) {
    if (key == "rope.position_ids") return;  // what they select is compared: rope.cos and rope.sin
    const RopeAngles& angles = run_.layout.angles;
    add(key, key == "rope.cos" ? angles.cos : angles.sin, joint_rows(expected, /*text_first=*/true),
        "valid rows");
  }

  const std::string& golden_;
  const Run& run_;
  at::Tensor mask_;
  CheckReport& report_;
};

void check_stages(const fs::path& path, const CaseSet& set, const std::string& name,
                  const std::string& device, CheckReport& report) {
  TensorMap seen;
  const Observer observer = [&](const std::string& stage, const at::Tensor& value) {
    seen[stage] = value.clone();
  };
  const Inputs inputs = inputs_of(set, name);
  const Run run = run_model(set.model(name), inputs, device, &observer);
  const std::string golden = path.string();
  StageComparison comparison(golden, run, inputs.mask, report);
  for (const auto& [key, expected] : read_golden(path, report))
    comparison.compare(key, expected, seen);
}

void check_cases(const fs::path& path, const std::string& device, CheckReport& report) {
  const CaseSet set(path, report);
  for (const auto& [name, entry] : entries_of(set.cases, path.string())) {
    const Run run = run_model(set.model(name), inputs_of(set, name), device);
    report.compare(path.string(), name, "output", run.output, set.tensor(name + "/output"),
                   kTolerance);
    const fs::path stages = path.parent_path() / ("stages_" + name + ".safetensors");
    if (fs::exists(stages)) check_stages(stages, set, name, device, report);
  }
}

bool matches(const fs::path& path) {
  const json cases = cases_of(peek_json(path));
  if (!cases.is_object() || cases.empty()) return false;
  const json& first = cases.begin().value();
  // With a loss they are cases of training.
  return first.is_object() && has_keys(first, {"config", "keys"}) && !first.contains("loss");
}

}  // namespace

at::Tensor velocity_of_padded(const DualStream& stored, const at::Tensor& x,
                              const at::Tensor& caption, const at::Tensor& mask,
                              const std::string& device) {
  return run_model(stored, {x, caption, mask}, device).output;
}

const CheckFamily kCheckDit = {"dit", "dual-stream forward passes and their stages", matches,
                               check_cases};

}  // namespace i1
