// Rectified flow (Liu et al. 2022; paper, sec. 2): a straight path from noise (t = 0) to image (t =
// 1), and the loss of the velocity along it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace i1 {

struct TimeSampling {
  std::string t_distribution = "logit_normal";  ///< logit_normal, uniform
  double t_mean = 0, t_std = 1;                 ///< of the normal under the sigmoid
  double train_timestep_shift = 0;              ///< s of the warp; 0 and 1 = none

  static void fields(auto& self, auto&& visit) {
    visit("t_distribution", self.t_distribution);
    visit("t_mean", self.t_mean);
    visit("t_std", self.t_std);
    visit("train_timestep_shift", self.train_timestep_shift);
  }
};

/// t <- s t / (1 + (s - 1) t); s = 0 and s = 1 leave t as it is. Works on numbers and on tensors.
double shift_time(double t, double shift);
at::Tensor shift_time(const at::Tensor& t, double shift);

/// Times in [0, 1] from standard normals (logit_normal: sigmoid(mean + std * normal)) or from
/// uniforms (uniform), then shifted. Throws UserError for an unknown distribution.
at::Tensor sample_times(const at::Tensor& samples, const TimeSampling& options);

/// x_t = (1 - t) noise + t image. noise, image: (B, ...); t: (B).
at::Tensor mix(const at::Tensor& noise, const at::Tensor& image, const at::Tensor& t);

/// What the model should output: image - noise.
at::Tensor velocity_target(const at::Tensor& noise, const at::Tensor& image);

/// Mean of the squared error over everything, in float32.
at::Tensor velocity_loss(const at::Tensor& velocity, const at::Tensor& target);

}  // namespace i1
