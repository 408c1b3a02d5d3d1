// The few layers that autoencoders are made of.
#pragma once

#include <ATen/core/Tensor.h>

#include "i1/core/fields.h"

namespace i1 {

struct Conv {
  at::Tensor weight;  ///< (out, in, k, k)
  at::Tensor bias;    ///< (out)

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
};

struct ConvNoBias {
  at::Tensor weight;  ///< (out, in, k, k)

  static void fields(auto& self, auto&& visit) { visit("weight", self.weight); }
};

/// Scale and shift of a norm; also any linear layer's weight and bias.
struct Affine {
  at::Tensor weight, bias;

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
};

/// Layers whose tensors have shapes and no memory (meta device), to be filled by load_fields.
Conv make_conv(int64_t in, int64_t out, int64_t kernel);
ConvNoBias make_conv_no_bias(int64_t in, int64_t out, int64_t kernel);
Affine make_affine(int64_t size);
Affine make_linear(int64_t in, int64_t out);

/// Same-size convolution (stride 1), or a halving one with symmetric padding (stride 2). (B, in, H,
/// W).
at::Tensor apply(const Conv& conv, const at::Tensor& x, int64_t stride = 1);
at::Tensor apply(const ConvNoBias& conv, const at::Tensor& x, int64_t stride = 1);

/// A halving 3x3 convolution that pads one row and column at the bottom and right only. (B, in, H,
/// W), H and W even.
at::Tensor apply_halving(const Conv& conv, const at::Tensor& x);

}  // namespace i1
