#include "i1/kernels/adam.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "i1/kernels/adam_kernels.h"
#include "i1/kernels/dispatch.h"

namespace i1 {
namespace {

using namespace kernels;

struct Chunk {
  size_t tensor;
  int64_t index;
};

// The chunks of all tensors, in order.
template <class Counts>
std::vector<Chunk> list_chunks(size_t num_tensors, const Counts& count_of) {
  std::vector<Chunk> chunks;
  for (size_t t = 0; t < num_tensors; ++t) {
    for (int64_t c = 0; c < num_chunks(count_of(t)); ++c) chunks.push_back({t, c});
  }
  return chunks;
}

// What each chunk of each tensor sums up to, in order. On the CPU chunks run in parallel; on CUDA a
// tensor at a time is launched and the sums come back in one copy.
template <class Sums, class Counts, class OnCpu, class OnCuda>
std::vector<Sums> run_chunks(const at::Tensor& device, size_t num_tensors, const Counts& count_of,
                             const OnCpu& on_cpu, const OnCuda& on_cuda) {
  const std::vector<Chunk> chunks = list_chunks(num_tensors, count_of);
  std::vector<Sums> sums(chunks.size());
  if (backend_of(device) != Backend::kCuda) {
    parallel(static_cast<int64_t>(chunks.size()), kAdamChunk, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sums[i] = on_cpu(chunks[i]);
    });
    return sums;
  }
  constexpr int64_t kDoubles = sizeof(Sums) / sizeof(double);
  const auto num_doubles = static_cast<int64_t>(chunks.size()) * kDoubles;
  const at::Tensor on_device = at::empty({num_doubles}, device.options().dtype(at::kDouble));
  auto* next = static_cast<Sums*>(on_device.mutable_data_ptr());
  for (size_t t = 0; t < num_tensors; ++t) {
    if (count_of(t) > 0) on_cuda(t, next, stream_of(device));
    next += num_chunks(count_of(t));
  }
  const at::Tensor copy = on_device.cpu();
  std::memcpy(sums.data(), copy.const_data_ptr(), chunks.size() * sizeof(Sums));
  return sums;
}

void check_part(const AdamParameter& p, const at::Tensor& part, const char* name, bool may_be_float,
                bool may_be_bfloat16) {
  if (!part.defined()) return;
  const bool dtype_fits = (may_be_float && part.scalar_type() == at::kFloat) ||
                          (may_be_bfloat16 && part.scalar_type() == at::kBFloat16);
  TORCH_CHECK(dtype_fits && part.sizes() == p.weight.sizes() && part.is_contiguous() &&
                  part.device() == p.weight.device(),
              "adam_step: weight is ", p.weight.sizes(), " on ", p.weight.device(), ", its ", name,
              " ", part.sizes(), " ", part.scalar_type(), " on ", part.device(),
              "; expected the same shape and device, contiguous, ",
              may_be_float ? (may_be_bfloat16 ? "float32 or bfloat16" : "float32") : "bfloat16");
}

void check_parameter(const AdamParameter& p) {
  TORCH_CHECK(p.weight.defined() && p.mu.defined() == p.nu.defined(),
              "adam_step: a parameter needs a weight, and both moments or neither");
  check_part(p, p.weight, "weight", true, false);
  check_part(p, p.gradient, "gradient", true, true);
  check_part(p, p.mu, "mu", true, true);
  check_part(p, p.nu, "nu", true, false);
  check_part(p, p.ema, "ema", true, false);
  check_part(p, p.compute_weight, "compute_weight", false, true);
}

// For writing behind autograd's back: a graph that still holds the tensor will notice.
template <class T>
T* changed(const at::Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  tensor.unsafeGetTensorImpl()->bump_version();
  return static_cast<T*>(tensor.mutable_data_ptr());
}

AdamTensor pointers_of(const AdamParameter& p) {
  return {.weight = changed<float>(p.weight),
          .gradient = p.gradient.defined() ? p.gradient.const_data_ptr() : nullptr,
          .mu = changed<void>(p.mu),
          .nu = changed<float>(p.nu),
          .ema = changed<float>(p.ema),
          .compute_weight = changed<void>(p.compute_weight),
          .count = p.weight.numel(),
          .gradient_element = p.gradient.defined() ? element_of(p.gradient) : Element::kFloat,
          .mu_element = p.mu.defined() ? element_of(p.mu) : Element::kFloat};
}

AdamFactors factors_of(const AdamOptions& options, int64_t step, double gradient_scale) {
  const auto correction = [&](double beta) {
    return static_cast<float>(1 / (1 - std::pow(beta, static_cast<double>(step))));
  };
  return {.gradient_scale = static_cast<float>(gradient_scale),
          .beta1 = static_cast<float>(options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .mu_correction = correction(options.beta1),
          .nu_correction = correction(options.beta2),
          .eps = static_cast<float>(options.eps),
          .learning_rate = static_cast<float>(options.learning_rate),
          .ema_share = static_cast<float>(1 - options.ema_decay)};
}

}  // namespace

AdamSquares adam_step(const std::vector<AdamParameter>& parameters, const AdamOptions& options,
                      int64_t step, double gradient_scale) {
  TORCH_CHECK(step >= 1, "adam_step: step is ", step, "; the first update is step 1");
  if (parameters.empty()) return {};
  if (backend_of(parameters[0].weight) == Backend::kReference)
    return reference::adam_step(parameters, options, step, gradient_scale);
  std::vector<AdamTensor> tensors;
  for (const AdamParameter& p : parameters) {
    check_parameter(p);
    tensors.push_back(pointers_of(p));
  }
  const AdamFactors factors = factors_of(options, step, gradient_scale);
  const auto sums = run_chunks<AdamSums>(
      parameters[0].weight, tensors.size(), [&](size_t t) { return tensors[t].count; },
      [&](Chunk chunk) { return adam_cpu(tensors[chunk.tensor], factors, chunk.index); },
      [&](size_t t, AdamSums* out, Stream stream) { adam_cuda(tensors[t], factors, out, stream); });
  AdamSquares squares;
  for (const AdamSums& sum : sums) {
    squares.update += sum.update;
    squares.weight += sum.weight;
    squares.ema += sum.ema;
  }
  return squares;
}

double sum_of_squares(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> defined;
  for (const at::Tensor& x : tensors) {
    if (x.defined()) defined.push_back(x.contiguous());
  }
  if (defined.empty()) return 0;
  if (backend_of(defined[0]) == Backend::kReference) return reference::sum_of_squares(defined);
  const auto sums = run_chunks<double>(
      defined[0], defined.size(), [&](size_t t) { return defined[t].numel(); },
      [&](Chunk chunk) {
        const at::Tensor& x = defined[chunk.tensor];
        return sum_of_squares_cpu(x.const_data_ptr(), element_of(x), x.numel(), chunk.index);
      },
      [&](size_t t, double* out, Stream stream) {
        const at::Tensor& x = defined[t];
        sum_of_squares_cuda(x.const_data_ptr(), element_of(x), x.numel(), out, stream);
      });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

double clip_scale(double gradient_norm, double max_norm) {
  return max_norm == 0 ? 1 : max_norm / std::max(gradient_norm, max_norm);
}

}  // namespace i1
