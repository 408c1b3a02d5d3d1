#include "i1/check/init_stats.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>

#include <cmath>
#include <map>

#include "i1/check/golden_files.h"
#include "i1/core/random.h"
#include "i1/model/init.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kStandardErrors = 5;

// Block numbers become one kind: in_blocks.3.norm1.scale -> in_blocks.*.norm1.scale.
std::string kind_of(const std::string& key) {
  for (const char* list : {"in_blocks.", "out_blocks.", "blocks."}) {
    if (!key.starts_with(list)) continue;
    const size_t begin = std::string(list).size();
    return list + ("*" + key.substr(key.find('.', begin)));
  }
  return key;
}

std::map<std::string, at::Tensor> initial_values(const json& stored) {
  const ModelConfig config = config_from_reference(stored.at("config"));
  std::map<std::string, std::vector<at::Tensor>> parts;
  for (const uint64_t seed : stored.at("seeds")) {
    DualStream model = make_dual_stream(config);
    initialize(model, RandomStream{seed, fnv1a("init")});
    for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
      if (!is_frozen(key)) parts[kind_of(key)].push_back(tensor.flatten());
    });
  }
  std::map<std::string, at::Tensor> values;
  for (const auto& [kind, tensors] : parts) values[kind] = at::cat(tensors).to(at::kDouble);
  return values;
}

void check_kind(const std::string& golden, const std::string& kind, const json& expected,
                const at::Tensor& values, CheckReport& report) {
  const auto compare = [&](const std::string& stage, double found, double wanted,
                           double tolerance) {
    report.compare(golden, kind, stage, at::scalar_tensor(found, at::kDouble),
                   at::scalar_tensor(wanted, at::kDouble), tolerance);
  };
  compare("number of values", static_cast<double>(values.numel()), expected.at("n"), 0);
  const double mean = values.mean().item<double>(), std = values.std().item<double>();
  const std::string distribution = expected.at("distribution");
  if (distribution.starts_with("constant")) {
    compare("least", values.min().item<double>(), expected.at("min"), 0);
    compare("largest", values.max().item<double>(), expected.at("max"), 0);
    return;
  }
  // Of the difference of two samples of n values.
  const double n = expected.at("n"), kurtosis = expected.at("kurtosis");
  const double of_mean = kStandardErrors * std * std::sqrt(2 / n);
  const double of_std = kStandardErrors * std * std::sqrt((kurtosis - 1) / 4) * std::sqrt(2 / n);
  compare("mean", mean, expected.at("mean"), of_mean);
  compare("standard deviation", std, expected.at("std"), of_std);
  for (const auto& [quantile, value] : entries_of(expected.at("quantiles"), golden)) {
    const double p = std::stod(quantile);
    const double share = (values < value.get<double>()).to(at::kDouble).mean().item<double>();
    compare("share below quantile " + quantile, share, p,
            kStandardErrors * std::sqrt(2 * p * (1 - p) / n));
  }
  if (expected.contains("bound")) {
    const double bound = expected["bound"];
    report.exact(golden, kind, "values beyond the bound",
                 (values.abs() > bound * (1 + 1e-6)).sum().item<int64_t>());
  }
}

}  // namespace

void check_init_stats(const fs::path& path, CheckReport& report) {
  const json stored = read_json(path, report);
  const std::map<std::string, at::Tensor> values = initial_values(stored);
  for (const auto& [kind, expected] : entries_of(stored.at("kinds"), path.string())) {
    const auto found = values.find(kind);
    if (found == values.end()) {
      report.fail(path.string(), kind, "values", "the model has no such tensor");
    } else {
      check_kind(path.string(), kind, expected, found->second, report);
    }
  }
}

}  // namespace i1
