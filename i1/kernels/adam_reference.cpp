#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "i1/kernels/adam.h"

namespace i1::reference {

AdamSquares adam_step(const std::vector<AdamParameter>& parameters, const AdamOptions& options,
                      int64_t step, double gradient_scale) {
  const at::NoGradGuard no_grad;
  const double mu_correction = 1 - std::pow(options.beta1, static_cast<double>(step));
  const double nu_correction = 1 - std::pow(options.beta2, static_cast<double>(step));
  AdamSquares squares;
  for (const AdamParameter& p : parameters) {
    const at::ScalarType wide = p.weight.scalar_type();
    if (p.mu.defined()) {
      const at::Tensor g =
          p.gradient.defined() ? p.gradient.to(wide) * gradient_scale : at::zeros_like(p.weight);
      const at::Tensor mu = p.mu.to(wide) * options.beta1 + g * (1 - options.beta1);
      p.nu.copy_(p.nu * options.beta2 + g * g * (1 - options.beta2));
      const at::Tensor update = (mu / mu_correction) /
                                (at::sqrt(p.nu / nu_correction) + options.eps) *
                                options.learning_rate;
      p.weight.sub_(update);
      p.mu.copy_(mu);
      squares.update += reference::sum_of_squares({update});
    }
    if (p.ema.defined()) {
      p.ema.add_(p.weight - p.ema, 1 - options.ema_decay);
      squares.ema += reference::sum_of_squares({p.ema});
    }
    if (p.compute_weight.defined()) p.compute_weight.copy_(p.weight);
    squares.weight += reference::sum_of_squares({p.weight});
  }
  return squares;
}

double sum_of_squares(const std::vector<at::Tensor>& tensors) {
  double sum = 0;
  for (const at::Tensor& x : tensors) {
    if (x.defined()) sum += x.to(at::kDouble).square().sum().item<double>();
  }
  return sum;
}

}  // namespace i1::reference
