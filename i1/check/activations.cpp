#include "i1/check/activations.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "i1/check/golden_files.h"
#include "i1/core/error.h"
#include "i1/flow/path.h"

namespace i1 {
namespace {

constexpr double kForwardTolerance = 5e-5;  // goldens/dit/README.md, "Tolerances"

// What the model calls an output of the golden: in_blocks.0.text -> in_blocks.0.out.
std::string stage_of(const std::string& output) {
  if (output == "x_embedder") return "patch_embed";
  if (output == "adapter") return "adapter.out";
  const size_t stream = output.rfind('.');
  return stream == std::string::npos ? output : output.substr(0, stream) + ".out";
}

class Comparison {
 public:
  Comparison(const ActivationCase& item, double tolerance, double relative, CheckReport& report)
      : item_(item), tolerance_(tolerance), relative_(relative), report_(report) {}

  void compare(const std::string& output, const at::Tensor& found, const at::Tensor& expected,
               const std::string& note = "") {
    const double norm = expected.to(at::kDouble).norm().item<double>();
    report_.compare(item_.golden, item_.name, "activation_grad/" + output, found, expected,
                    std::max(tolerance_, relative_ * norm), note);
  }

  void compare_output(const std::string& output, const at::Tensor& found,
                      const at::Tensor& expected) {
    if (!found.defined())
      return report_.fail(item_.golden, item_.name, "activation_grad/" + output, "no gradient");
    if (output == "adapter") return compare_adapter(found, expected);
    if (found.numel() == expected.numel())
      return compare(output, found.view_as(expected), expected);
    // Both streams: the image tokens of all samples, then their valid text tokens.
    const int64_t num_valid = item_.mask.count_nonzero().item<int64_t>();
    const int64_t num_image = found.size(0) - num_valid;
    if (!output.ends_with(".text"))
      return compare(output, found.narrow(0, 0, num_image).view_as(expected), expected);
    compare(output, found.narrow(0, num_image, num_valid), expected.index({item_.mask != 0}),
            "valid text rows");
  }

 private:
  // Dropped samples share the null caption's rows, which come behind all captions.
  void compare_adapter(const at::Tensor& found, const at::Tensor& expected) {
    const int64_t B = expected.size(0), T = expected.size(1);
    at::Tensor null_caption = at::zeros({T, expected.size(2)});
    for (int64_t b = 0; b < B; ++b) {
      if (item_.dropped.at(static_cast<size_t>(b))) {
        null_caption += expected[b];
      } else {
        compare(concat("adapter, sample ", b), found.narrow(0, b * T, T), expected[b]);
      }
    }
    compare("adapter, null caption", found.narrow(0, B * T, T), null_caption);
  }

  const ActivationCase& item_;
  double tolerance_, relative_;
  CheckReport& report_;
};

}  // namespace

void check_activations(const ActivationCase& item, const DualStream& model,
                       const TensorMap& tensors, double tolerance, double relative,
                       CheckReport& report) {
  TensorMap stages;
  const Observer observer = [&](const std::string& stage, const at::Tensor& value) {
    stages[stage] = value;
  };
  const NoisyBatch& batch = item.batch;
  const at::Tensor adapted =
      adapt(model.text_encoder_adapter, model.config, batch.captions, &observer);
  const Condition condition = gather_condition(adapted, batch.rows);
  const at::Tensor x_t = mix(batch.noise, batch.image_latents, batch.t);
  const Layout layout = make_layout(model, x_t.size(2), x_t.size(3), condition);
  const at::Tensor pred = velocity(model, x_t, condition, layout, &observer);
  stages["pred"] = pred;
  const auto expected_pred = tensors.find(item.name + "/pred");
  if (expected_pred != tensors.end()) {
    report.compare(item.golden, item.name, "pred", pred.detach(), expected_pred->second,
                   kForwardTolerance);
  }

  const std::string prefix = item.name + "/activation_grad/";
  std::vector<std::string> outputs;
  std::vector<at::Tensor> values;
  for (const auto& [key, expected] : tensors) {
    if (!key.starts_with(prefix)) continue;
    const std::string output = key.substr(prefix.size());
    const auto found = stages.find(stage_of(output));
    if (found == stages.end()) {
      report.fail(item.golden, item.name, "activation_grad/" + output,
                  "the model reports no such stage");
      continue;
    }
    outputs.push_back(output);
    values.push_back(found->second);
  }
  if (values.empty()) return;
  const at::Tensor loss = velocity_loss(pred, velocity_target(batch.noise, batch.image_latents));
  const std::vector<at::Tensor> gradients =
      torch::autograd::grad({loss}, values, {}, std::nullopt, /*create_graph=*/false,
                            /*allow_unused=*/true);
  Comparison comparison(item, tolerance, relative, report);
  for (size_t i = 0; i < outputs.size(); ++i)
    comparison.compare_output(outputs[i], gradients[i], tensors.at(prefix + outputs[i]));
}

}  // namespace i1
