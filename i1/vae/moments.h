#pragma once

#include <ATen/core/Tensor.h>

namespace i1 {

/// A diagonal normal distribution over raw latents; log_variance is clamped to [-30, 20].
struct Moments {
  at::Tensor mean, log_variance;  ///< (B, C, H/8, W/8)
};

/// The distribution whose mean and log-variance are the two halves of `moments` (B, 2C, h, w), the
/// latter clamped.
Moments split_moments(const at::Tensor& moments);

/// mean + std * noise: what training encodes a picture to. noise: standard normal, shape of the
/// mean.
at::Tensor sample(const Moments& moments, const at::Tensor& noise);

}  // namespace i1
