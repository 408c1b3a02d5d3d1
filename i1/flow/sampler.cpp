#include "i1/flow/sampler.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/std.h>

#include "i1/flow/path.h"

namespace i1 {

std::vector<float> make_timesteps(int64_t num_steps, const std::string& schedule, double shift) {
  check_user(num_steps >= 1, "number of steps is ", num_steps, ", expected at least 1");
  const bool is_shifted = schedule == "shifted";
  check_user(is_shifted || schedule == "uniform", "schedule \"", schedule,
             "\": expected shifted or uniform");
  check_user(!is_shifted || shift >= 0, "timestep shift is ", shift, ", expected 0 or more");
  std::vector<float> times;
  for (int64_t k = 0; k <= num_steps; ++k) {
    const float t = static_cast<float>(k) / static_cast<float>(num_steps);
    times.push_back(is_shifted ? static_cast<float>(shift_time(t, shift)) : t);
  }
  return times;
}

at::Tensor guide(const at::Tensor& cond, const at::Tensor& uncond, double t,
                 const Guidance& guidance) {
  const double scale = t >= guidance.start ? guidance.scale : 1;
  const at::Tensor v = cond + (scale - 1) * (cond - uncond);
  if (guidance.rescale == 0) return v;
  std::vector<int64_t> axes;
  for (int64_t axis = 1; axis < v.dim(); ++axis) axes.push_back(axis);
  const int64_t correction = guidance.std_kind == StdKind::kSample ? 1 : 0;
  const auto spread = [&](const at::Tensor& x) {
    return at::std(x, axes, correction, /*keepdim=*/true);
  };
  return v * (1 - guidance.rescale + guidance.rescale * (spread(cond) / (spread(v) + 1e-8)));
}

at::Tensor euler(at::Tensor x, const std::vector<float>& timesteps,
                 const VelocityFunction& velocity, const StepObserver& on_step) {
  for (size_t k = 0; k + 1 < timesteps.size(); ++k) {
    const float t = timesteps[k];
    const at::Tensor next = x + (timesteps[k + 1] - t) * velocity(x, t);
    if (!at::isfinite(next).all().item<bool>()) {
      throw NotFinite(concat("sampling step ", k + 1, " of ", timesteps.size() - 1, " (t = ", t,
                             "): values are not finite"),
                      t, x, next);
    }
    x = next;
    if (on_step) on_step(static_cast<int64_t>(k) + 1, x);
  }
  return x;
}

}  // namespace i1
