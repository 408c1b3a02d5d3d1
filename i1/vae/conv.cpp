#include "i1/vae/conv.h"

#include <ATen/Context.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/pad.h>

#include "i1/kernels/conv3x3.h"
#include "i1/kernels/linear.h"

namespace i1 {
namespace {

at::Tensor shaped(at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions(at::kFloat).device(at::kMeta));
}

// A row of channels a pixel, by a matrix. weight: (out, in, 1, 1)
at::Tensor mix_channels(const at::Tensor& x, const at::Tensor& weight,
                        const std::optional<at::Tensor>& bias) {
  const at::Tensor pixels = x.permute({0, 2, 3, 1}).contiguous();  // (B, H, W, in)
  return linear(pixels, weight.flatten(1).contiguous(), bias).permute({0, 3, 1, 2});
}

// In float32 conv2d chooses between oneDNN and its own loops by batch size and number of threads,
// and with them the last bits; here it is ours where it keeps the size, and oneDNN for the rest.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias, int64_t stride, int64_t padding) {
  const int64_t kernel = weight.size(2);
  if (x.is_cpu() && x.scalar_type() == at::kFloat && stride == 1 && padding == kernel / 2) {
    if (kernel == 1) return mix_channels(x, weight, bias);
    if (kernel == 3) return conv3x3(x, weight, bias);
  }
  if (x.is_cpu() && x.scalar_type() == at::kFloat && at::hasMKLDNN()) {
    // The weight's memory format alone must choose the kernel, for the same bits whatever that of x
    // is: a copy of x ensures it, which 3x3 kernels with channels last do without.
    const bool is_channels_last = weight.size(2) > 1 && weight.size(1) > 1 &&
                                  weight.is_contiguous(at::MemoryFormat::ChannelsLast);
    return at::mkldnn_convolution(is_channels_last ? x : x.contiguous(), weight, bias,
                                  {padding, padding}, {stride, stride}, {1, 1}, 1);
  }
  return at::conv2d(x, weight, bias, stride, padding);
}

}  // namespace

Conv make_conv(int64_t in, int64_t out, int64_t kernel) {
  return {shaped({out, in, kernel, kernel}), shaped({out})};
}

ConvNoBias make_conv_no_bias(int64_t in, int64_t out, int64_t kernel) {
  return {shaped({out, in, kernel, kernel})};
}

Affine make_affine(int64_t size) { return {shaped({size}), shaped({size})}; }

Affine make_linear(int64_t in, int64_t out) { return {shaped({out, in}), shaped({out})}; }

at::Tensor apply(const Conv& conv, const at::Tensor& x, int64_t stride) {
  return convolve(x, conv.weight, conv.bias, stride, conv.weight.size(2) / 2);
}

at::Tensor apply(const ConvNoBias& conv, const at::Tensor& x, int64_t stride) {
  return convolve(x, conv.weight, {}, stride, conv.weight.size(2) / 2);
}

at::Tensor apply_halving(const Conv& conv, const at::Tensor& x) {
  return convolve(at::pad(x, {0, 1, 0, 1}), conv.weight, conv.bias, 2, 0);
}

}  // namespace i1
