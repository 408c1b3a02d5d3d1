#include "i1/flow/path.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/sigmoid.h>

#include "i1/core/error.h"

namespace i1 {

double shift_time(double t, double shift) {
  return shift == 0 || shift == 1 ? t : shift * t / (1 + (shift - 1) * t);
}

at::Tensor shift_time(const at::Tensor& t, double shift) {
  return shift == 0 || shift == 1 ? t : shift * t / (1 + (shift - 1) * t);
}

at::Tensor sample_times(const at::Tensor& samples, const TimeSampling& options) {
  const bool is_uniform = options.t_distribution == "uniform";
  check_user(is_uniform || options.t_distribution == "logit_normal", "t_distribution \"",
             options.t_distribution, "\": expected logit_normal or uniform");
  const at::Tensor t = is_uniform ? samples : at::sigmoid(options.t_mean + options.t_std * samples);
  return shift_time(t, options.train_timestep_shift);
}

at::Tensor mix(const at::Tensor& noise, const at::Tensor& image, const at::Tensor& t) {
  std::vector<int64_t> shape(image.dim(), 1);
  shape[0] = t.size(0);
  const at::Tensor wide = t.view(shape);  // (B, 1, ...)
  return (1 - wide) * noise + wide * image;
}

at::Tensor velocity_target(const at::Tensor& noise, const at::Tensor& image) {
  return image - noise;
}

at::Tensor velocity_loss(const at::Tensor& velocity, const at::Tensor& target) {
  return at::mse_loss(velocity.to(at::kFloat), target);
}

}  // namespace i1
