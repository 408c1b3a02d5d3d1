#include "i1/check/checkpoint.h"

#include <ATen/ops/empty.h>

#include <cmath>

#include "i1/check/dit.h"
#include "i1/check/golden_files.h"
#include "i1/core/error.h"
#include "i1/io/weights_file.h"
#include "i1/model/weights.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// goldens/dit/README.md and goldens/backbones/README.md, "Tolerances".
constexpr double kTorchTolerance = 5e-5, kJaxTolerance = 3e-5;
// Sums of stored values in float64: only the order of summation differs.
constexpr double kSumTolerance = 1e-12;

void compare_output(const fs::path& path, const std::string& stage, const StoredBackbone& stored,
                    const TensorMap& io, const std::string& prefix, const at::Tensor& expected,
                    double tolerance, const std::string& device, CheckReport& report) {
  const DualStream model = load_dual_stream(stored.config, stored.tensors, path.string());
  const auto mask = io.find(prefix + "mask");
  const at::Tensor found = velocity_of_padded(
      model, take(io, prefix + "x", path.string()), take(io, prefix + "caption", path.string()),
      mask == io.end() ? at::Tensor() : mask->second, device);
  report.compare(path.string(), "model", stage, found, expected, tolerance);
}

// PyTorch.

// NAME of NAME.pt and NAME_lean.pt: what lies beside them is named by it.
fs::path stem_of(const fs::path& path) {
  std::string stem = path.stem().string();
  if (stem.ends_with("_lean")) stem.resize(stem.size() - 5);
  return path.parent_path() / stem;
}

// dtype, shape, sum, norm, first and last value of each tensor. Returns how many do not fit.
int64_t count_different(const StoredTensors& tensors, const std::string& prefix,
                        const json& expected, const std::string& where, std::string& first) {
  int64_t num_different = 0;
  for (const auto& [key, what] : entries_of(expected, where)) {
    const auto found = tensors.find(prefix + key);
    bool fits = found != tensors.end();
    if (fits) {
      const TensorInfo& info = found->second.info;
      const at::Tensor values = found->second.read().to(at::kDouble).flatten();
      const double norm = what.at("l2"), sum = what.at("sum");
      const auto near = [&](double a, double b) {
        return std::abs(a - b) <= kSumTolerance * (1 + norm) * std::sqrt(double(values.numel()));
      };
      fits = what.at("dtype") == (info.dtype == at::kBFloat16 ? "bfloat16" : "float32") &&
             what.at("shape") == json(info.shape) && near(values.sum().item<double>(), sum) &&
             near(values.norm().item<double>(), norm) &&
             values[0].item<double>() == what.at("first").get<double>() &&
             values[-1].item<double>() == what.at("last").get<double>();
    }
    if (!fits && num_different++ == 0) first = key;
  }
  return num_different;
}

void check_contents(const fs::path& path, const WeightsFile& file, CheckReport& report) {
  const json listed = read_json(stem_of(path).string() + ".json", report);
  const json own = listed.value(path.filename().string(), json::object());
  const std::string golden = path.string();
  report.exact(golden, "contents", "config",
               own.contains("config") && file.values.at("config") != own["config"]);
  int64_t num_listed = 0;
  for (const auto& [section, tensors] : entries_of(listed, golden)) {
    const std::string prefix = section + ".";
    const auto some = file.tensors.lower_bound(prefix);
    if (section.ends_with(".pt") || some == file.tensors.end() || !some->first.starts_with(prefix))
      continue;
    std::string first;
    const int64_t num_different = count_different(file.tensors, prefix, tensors, golden, first);
    report.exact(golden, "contents", section, num_different, first);
    num_listed += static_cast<int64_t>(tensors.size());
  }
  report.exact(golden, "contents", "no other tensors",
               static_cast<int64_t>(file.tensors.size()) - num_listed);
  if (!own.contains("step")) return;
  report.exact(golden, "contents", "step", file.values.at("train_state").at("step") != own["step"]);
  report.exact(golden, "contents", "count",
               file.values.at("train_state").at("opt").at("count") != own["count"]);
}

// Tables that were rebuilt for another resolution.
void compare_tables(const fs::path& path, const StoredBackbone& stored, const TensorMap& io,
                    const std::string& prefix, CheckReport& report) {
  DualStream model = load_dual_stream(stored.config, stored.tensors, path.string());
  const TensorMap tensors = to_tensor_map(model);
  for (const auto& [key, tensor] : tensors) {
    const auto expected = io.find(prefix + key);
    if (is_frozen(key) && expected != io.end())
      report.compare(path.string(), prefix + "tables", key, tensor, expected->second,
                     kTorchTolerance);
  }
}

void check_outputs(const fs::path& path, const TensorMap& io, WeightsSide side,
                   const std::string& device, CheckReport& report) {
  const StoredBackbone stored = read_backbone(path, side);
  const bool is_raw = side == WeightsSide::kRaw;
  const auto compare = [&](const StoredBackbone& model, const std::string& prefix,
                           const std::string& name) {
    const auto expected = io.find(prefix + name);
    if (expected == io.end()) return;
    compare_output(path, prefix + name, model, io, prefix, expected->second, kTorchTolerance,
                   device, report);
  };
  compare(stored, "", is_raw ? "output_raw" : "output");
  for (const int64_t resolution : {512, 1024}) {
    const std::string prefix = concat("res", resolution, "/");
    if (!io.contains(prefix + "x")) continue;
    const StoredBackbone resized = at_resolution(stored, resolution, io.at(prefix + "x").size(2));
    compare(resized, prefix, is_raw ? "output_raw" : "output_ema");
    if (!is_raw) compare_tables(path, resized, io, prefix, report);
  }
}

void check_torch(const fs::path& path, const std::string& device, CheckReport& report) {
  const WeightsFile file = open_weights(path);
  report.use(path);
  if (fs::exists(stem_of(path).string() + ".json")) check_contents(path, file, report);
  const fs::path io_path = stem_of(path).string() + "_io.safetensors";
  if (!fs::exists(io_path)) return;
  const TensorMap io = read_golden(io_path, report);
  check_outputs(path, io, WeightsSide::kEma, device, report);
  if (file.tensors.contains("train_state.model_raw.pos_embed"))
    check_outputs(path, io, WeightsSide::kRaw, device, report);
}

// JAX.

std::string numpy_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "float64";
    case at::kFloat:
      return "float32";
    case at::kBFloat16:
      return "bf16(V2)";
    case at::kLong:
      return "int64";
    case at::kInt:
      return "int32";
    default:
      return c10::toString(dtype);
  }
}

void check_jax(const fs::path& path, const std::string& device, CheckReport& report) {
  const WeightsFile file = open_weights(path);
  report.use(path);
  const json keys = read_json(path.parent_path() / "keys.json", report);
  json found = json::object();
  for (const auto& [name, tensor] : file.tensors)
    found[name] = {numpy_name(tensor.info.dtype), tensor.info.shape};
  int64_t num_different =
      std::abs(static_cast<int64_t>(keys.size()) - static_cast<int64_t>(found.size()));
  for (const auto& [name, what] : entries_of(keys, path.string()))
    num_different += found[name] != what;
  report.exact(path.string(), "contents", "names, types and shapes", num_different);
  const TensorMap expected = read_golden(path.parent_path() / "expected.safetensors", report);
  const auto compare = [&](WeightsSide side, const std::string& name) {
    compare_output(path, name, read_backbone(path, side), expected, "",
                   take(expected, name, path.string()), kJaxTolerance, device, report);
  };
  compare(WeightsSide::kEma, "output_f64");
  compare(WeightsSide::kRaw, "output_raw_params");
}

// Lists of tensors.

void check_keys(const fs::path& path, CheckReport& report) {
  const json listed = read_json(path, report);
  const bool is_jax = listed.contains("shapes");
  TensorMap expected;  // without values
  for (const auto& [name, what] :
       entries_of(listed.at(is_jax ? "shapes" : "tensors"), path.string())) {
    const std::vector<int64_t> shape = is_jax ? what : what.at("shape");
    expected[name] = at::empty(shape, at::TensorOptions().device(at::kMeta));
  }
  if (is_jax) expected = from_jax_names(expected, "");
  DualStream model = make_dual_stream(config_from_reference(listed.at("config")));
  int64_t num_different = 0, num_values = 0, num_tensors = 0;
  std::string first;
  for (const auto& [name, tensor] : to_tensor_map(model)) {
    if (is_jax && name.starts_with("rope_embedder.")) continue;  // JAX keeps no RoPE tables
    ++num_tensors;
    num_values += tensor.numel();
    const auto there = expected.find(name);
    if (there != expected.end() && there->second.sizes() == tensor.sizes()) continue;
    if (num_different++ == 0) first = name;
  }
  num_different += std::abs(num_tensors - static_cast<int64_t>(expected.size()));
  report.exact(path.string(), "tensors", "names and shapes", num_different, first);
  const int64_t total = listed.value(is_jax ? "num_values" : "n_params_total", int64_t{0});
  report.exact(path.string(), "tensors", "number of values", std::abs(num_values - total));
}

bool is_npz(const fs::path& path) {
  const std::string name = path.filename().string();
  const size_t suffix = name.rfind(".npz");
  return suffix != std::string::npos && (suffix + 4 == name.size() || name[suffix + 4] == '-') &&
         fs::exists(path.parent_path() / "expected.safetensors");
}

bool is_torch(const fs::path& path) {
  return path.extension() == ".pt" && (fs::exists(stem_of(path).string() + ".json") ||
                                       fs::exists(stem_of(path).string() + "_io.safetensors"));
}

bool is_keys(const fs::path& path) {
  const json stored = peek_json(path);
  return stored.is_object() &&
         (has_keys(stored, {"config", "tensors"}) || has_keys(stored, {"config", "shapes"}));
}

bool matches(const fs::path& path) {
  return fs::is_regular_file(path) && (is_torch(path) || is_npz(path) || is_keys(path));
}

void run(const fs::path& path, const std::string& device, CheckReport& report) {
  if (is_torch(path)) {
    check_torch(path, device, report);
  } else if (is_npz(path)) {
    check_jax(path, device, report);
  } else {
    check_keys(path, report);
  }
}

}  // namespace

const CheckFamily kCheckCheckpoint = {
    "checkpoint", "stored checkpoints of PyTorch and JAX, and lists of tensors", matches, run};

}  // namespace i1
