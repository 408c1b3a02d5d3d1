// 3x3 convolution of stride 1 by F(2x2, 3x3) of Winograd's minimal filtering (Lavin and Gray 2016,
// "Fast Algorithms for Convolutional Neural Networks", sec. 4.1): 16 products for four results,
// where the sum as it is written takes 36.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace i1 {

/// x with a border of zeros, convolved. x: (B, in, H, W), weight: (out, in, 3, 3), bias: (out) or
/// none, of x's dtype. Returns (B, out, H, W), on a CPU in float32 with channels last. Rounds about
/// twice as much as the sum as it is written. The other pictures of a batch and the number of
/// threads move no bit; a result's place, even or odd, does. Not differentiable.
at::Tensor conv3x3(const at::Tensor& x, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias = {});

namespace reference {
at::Tensor conv3x3(const at::Tensor& x, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias = {});
}  // namespace reference

}  // namespace i1
