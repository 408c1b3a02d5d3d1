#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>

#include "i1/kernels/joint_linear.h"

namespace i1::reference {

at::Tensor joint_linear(const at::Tensor& x, int64_t num_image_rows, const at::Tensor& weight_image,
                        const at::Tensor& bias_image, const at::Tensor& weight_text,
                        const at::Tensor& bias_text) {
  const int64_t num_text_rows = x.size(0) - num_image_rows;
  return at::cat({at::linear(x.narrow(0, 0, num_image_rows), weight_image, bias_image),
                  at::linear(x.narrow(0, num_image_rows, num_text_rows), weight_text,
                             bias_text)});  // (N, out)
}

}  // namespace i1::reference
