// From noise to latents: the Euler method over a grid of times, with classifier-free guidance.
// Knows no model: a velocity is any function of (x_t, t).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "i1/core/error.h"

namespace i1 {

/// The N + 1 times of a schedule from 0 (noise) to 1 (image), float32:
///   shifted: k / N warped by t <- s t / (1 + (s - 1) t), as the reference's PyTorch code (which
///   rounds them to bfloat16); uniform: k / N, as its JAX code in effect does.
/// Throws UserError for an unknown schedule and for fewer than one step.
std::vector<float> make_timesteps(int64_t num_steps, const std::string& schedule, double shift);

/// Which standard deviation guidance rescale takes; they differ by rounding only.
enum class StdKind { kSample /* divide by n - 1: PyTorch */, kPopulation /* by n: JAX */ };

struct Guidance {
  double scale = 12;   ///< g
  double rescale = 1;  ///< phi; 0 is exactly off
  double start = 0;    ///< guidance acts for t >= start
  StdKind std_kind = StdKind::kSample;
};

/// v = c + (g - 1)(c - u), then v <- v (1 - phi + phi std(c) / (std(v) + 1e-8)), std a sample over
/// all its values (Lin et al. 2023, sec. 3.4). cond, uncond: (B, ...) float32.
at::Tensor guide(const at::Tensor& cond, const at::Tensor& uncond, double t,
                 const Guidance& guidance);

/// x_t, t -> velocity of the same shape.
using VelocityFunction = std::function<at::Tensor(const at::Tensor& x_t, double t)>;

/// Called after each step with its number, from 1 on, and the latents it reached.
using StepObserver = std::function<void(int64_t step, const at::Tensor& x_t)>;

/// Values stopped being finite in a step: what it began with and what it came to.
class NotFinite : public Failure {
 public:
  NotFinite(const std::string& message, double t, at::Tensor x_t, at::Tensor x_next)
      : Failure(message), t(t), x_t(std::move(x_t)), x_next(std::move(x_next)) {}

  double t;
  at::Tensor x_t, x_next;
};

/// x <- x + (t[k+1] - t[k]) velocity(x, t[k]) over the whole grid, in float32. Throws NotFinite,
/// naming the step, where values stop being finite.
at::Tensor euler(at::Tensor x, const std::vector<float>& timesteps,
                 const VelocityFunction& velocity, const StepObserver& on_step = nullptr);

}  // namespace i1
