#include "i1/io/row_scales.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "i1/core/error.h"

namespace i1 {
namespace {

TEST(RowScales, EachValueIsWithinHalfAStepOfItsRow) {
  const at::Tensor weight =
      at::tensor({1.0f, -0.3f, 0.004f, 100.0f, 40.0f, -99.0f, 0.0f, 0.0f, 0.0f}).view({3, 3});
  TensorMap tensors{{"norm", at::ones({3})}};
  put_quantized(tensors, "w", weight);
  EXPECT_EQ(tensors.at("w").scalar_type(), at::kChar);
  restore_quantized(tensors, "test");
  EXPECT_EQ(tensors.size(), 2u);
  const at::Tensor error = (tensors.at("w") - weight).abs().amax(1);
  EXPECT_LE(error[0].item<float>(), 0.5f * 1.0f / 127 + 1e-7f);
  EXPECT_LE(error[1].item<float>(), 0.5f * 100.0f / 127 + 1e-5f);
  EXPECT_EQ(error[2].item<float>(), 0);
}

TEST(RowScales, TheLargestOfARowIsExact) {
  const at::Tensor weight = at::tensor({0.1f, -0.7f, 0.2f, 3.0f}).view({2, 2});
  TensorMap tensors;
  put_quantized(tensors, "w", weight);
  restore_quantized(tensors, "test");
  EXPECT_FLOAT_EQ(tensors.at("w")[0][1].item<float>(), -0.7f);
  EXPECT_FLOAT_EQ(tensors.at("w")[1][1].item<float>(), 3.0f);
}

TEST(RowScales, AScaleThatFitsNothingIsNamed) {
  TensorMap lone{{"w.row_scale", at::ones({2})}};
  EXPECT_THROW(restore_quantized(lone, "file"), UserError);
  TensorMap longer{{"w", at::zeros({2, 2}, at::kChar)}, {"w.row_scale", at::ones({3})}};
  EXPECT_THROW(restore_quantized(longer, "file"), UserError);
}

}  // namespace
}  // namespace i1
