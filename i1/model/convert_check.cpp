#include "i1/model/convert_check.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/memory.h"
#include "i1/core/progress.h"
#include "i1/core/random.h"

namespace i1 {
namespace {

constexpr int64_t kLatentSide = 16, kValidTokens = 16;

double sum_of_squares(const at::Tensor& values) {
  const at::Tensor flat = values.flatten();
  return values.numel() == 0 ? 0 : flat.dot(flat).item<double>();
}

WeightError compare(const std::string& key, const at::Tensor& first, const at::Tensor& second) {
  const at::Tensor values = first.to(at::kFloat).contiguous();
  const at::Tensor difference = second.to(at::kFloat) - values;
  WeightError error{key};
  error.num_values = values.numel();
  if (error.num_values == 0) return error;
  error.largest = difference.abs().max().item<double>();
  error.squared_error = sum_of_squares(difference);
  error.squared_value = sum_of_squares(values);
  error.relative =
      error.squared_error == 0 ? 0 : std::sqrt(error.squared_error / error.squared_value);
  return error;
}

// Velocities of a small picture's noise; the second sample has no text.
at::Tensor fixed_velocity(const OpenBackbone& backbone) {
  const at::NoGradGuard no_grad;
  TensorMap tensors;
  for (const auto& [key, tensor] : backbone.tensors) {
    check_interrupt();
    tensors[key] = tensor.read().to(at::kFloat).contiguous();
  }
  const DualStream model = load_dual_stream(backbone.config, tensors, backbone.where);
  const ModelConfig& config = model.config;
  const RandomStream stream = RandomStream{0}.child("compare_forward");
  const int64_t side = std::max<int64_t>(kLatentSide / config.patch_size, 1) * config.patch_size;
  const int64_t T = config.num_text_tokens;
  const at::Tensor states = normal_tensor({2, T, config.text_width}, stream.child("captions"));
  at::Tensor mask = at::zeros({2, T}, at::kByte);
  mask[0].narrow(0, 0, std::min(T, kValidTokens)).fill_(1);
  const at::Tensor rows = adapt(model.text_encoder_adapter, config, captions_from_padded(states));
  const Condition condition = condition_from_padded(rows.view({2, T, config.hidden_size}), mask);
  const at::Tensor noise =
      normal_tensor({2, config.latent_channels, side, side}, stream.child("noise"));
  return velocity(model, noise, condition, make_layout(model, side, side, condition));
}

}  // namespace

std::vector<WeightError> compare_weights(const OpenBackbone& first, const OpenBackbone& second) {
  std::vector<WeightError> errors;
  Progress progress("checking", static_cast<int64_t>(first.tensors.size()), "tensors");
  for (const auto& [key, tensor] : second.tensors)
    check_user(first.tensors.contains(key), first.where, ": no tensor \"", key, "\", which ",
               second.where, " has");
  for (const auto& [key, tensor] : first.tensors) {
    check_interrupt();
    const auto other = second.tensors.find(key);
    check_user(other != second.tensors.end(), second.where, ": no tensor \"", key, "\", which ",
               first.where, " has");
    check_user(other->second.info.shape == tensor.info.shape, second.where, ": tensor \"", key,
               "\" has shape ", at::IntArrayRef(other->second.info.shape), ", expected ",
               at::IntArrayRef(tensor.info.shape));
    errors.push_back(compare(key, tensor.read(), other->second.read()));
    progress.update(static_cast<int64_t>(errors.size()));
    MappedFile::forget_pages();
  }
  std::stable_sort(errors.begin(), errors.end(), [](const WeightError& a, const WeightError& b) {
    return a.relative > b.relative;
  });
  return errors;
}

std::optional<ForwardError> compare_forward(const OpenBackbone& first, const OpenBackbone& second) {
  constexpr double kShare = 0.9;  // of the free memory; activations take the rest
  const int64_t needed = std::max(float32_bytes(first), float32_bytes(second));
  if (static_cast<double>(needed) > kShare * static_cast<double>(available_memory()))
    return std::nullopt;
  const at::Tensor expected = fixed_velocity(first);
  MappedFile::forget_pages();
  const WeightError error = compare("", expected, fixed_velocity(second));
  return ForwardError{error.largest, error.relative};
}

int64_t float32_bytes(const OpenBackbone& backbone) {
  int64_t num_bytes = 0;
  for (const auto& [key, tensor] : backbone.tensors)
    num_bytes += static_cast<int64_t>(count_bytes(tensor.info.shape, at::kFloat, key));
  return num_bytes;
}

}  // namespace i1
