#include "i1/kernels/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include "i1/kernels/joint_linear.h"
#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

class Threads {
 public:
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

TEST(Linear, ARowDependsOnItselfAlone) {
  const Threads restored;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t in : {16, 32, 96, 280, 288}) {
      for (const int64_t out : {8, 12, 16, 20, 32, 170, 288}) {
        const at::Tensor weight = at::randn({out, in}).to(dtype), bias = at::randn({out}).to(dtype);
        const at::Tensor x = at::randn({100, in}).to(dtype);
        at::set_num_threads(1);
        const at::Tensor all = i1::linear(x, weight, bias);
        // The library adds the bias of a part elsewhere, so its bfloat16 may be rounded otherwise.
        const at::Tensor all_joint = joint_linear(x, 100, weight, bias, weight, bias);
        for (const int threads : {1, 2, 3, 8}) {
          at::set_num_threads(threads);
          for (const int64_t rows : {1, 2, 3, 4, 13, 19, 31, 32, 33, 99}) {
            const at::Tensor part = x.narrow(0, 0, rows), expected = all.narrow(0, 0, rows);
            EXPECT_TRUE(at::equal(i1::linear(part, weight, bias), expected))
                << dtype << ", " << in << " -> " << out << ", " << rows << " rows, " << threads
                << " threads";
            // The same rows between others of their stream.
            const at::Tensor joint = joint_linear(x.narrow(0, 100 - rows - 1, rows + 1), rows,
                                                  weight, bias, weight, bias);
            EXPECT_TRUE(at::equal(joint, all_joint.narrow(0, 100 - rows - 1, rows + 1)))
                << dtype << ", " << in << " -> " << out << ", " << rows << " image rows, "
                << threads << " threads";
          }
        }
      }
    }
  }
}

TEST(Linear, IsTheLibrarysOtherwise) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{0, 6}, {1, 6}, {5, 6}, {2, 3, 6}, {40, 6}}) {
    const at::Tensor x = at::randn(shape).requires_grad_(),
                     weight = at::randn({4, 6}).requires_grad_(),
                     bias = at::randn({4}).requires_grad_();
    const at::Tensor y = i1::linear(x, weight, bias), expected = at::linear(x, weight, bias);
    ASSERT_EQ(y.sizes(), expected.sizes());
    EXPECT_TRUE(at::allclose(y, expected, 1e-6, 1e-6));
    EXPECT_TRUE(at::allclose(i1::linear(x, weight), at::linear(x, weight), 1e-6, 1e-6));
    const at::Tensor seed = at::randn_like(y);
    const auto found = torch::autograd::grad({y}, {x, weight, bias}, {seed});
    const auto wanted = torch::autograd::grad({expected}, {x, weight, bias}, {seed});
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].sizes(), wanted[i].sizes());
      EXPECT_TRUE(at::allclose(found[i], wanted[i], 1e-5, 1e-5)) << i;
    }
  }
}

// Every edge of the tiles: rows and outputs that do not fill one, and one panel of them.
TEST(Linear, Bfloat16IsAsGoodAsTheLibrarys) {
  const at::NoGradGuard no_gradients;
  for (const int64_t in : {24, 32, 96, 288}) {
    for (const int64_t out : {1, 8, 15, 16, 17, 31, 32, 33, 50, 170}) {
      for (const int64_t rows : {1, 2, 15, 16, 17, 31, 32, 33, 65, 700}) {
        const at::Tensor x = at::randn({rows, in}).to(at::kBFloat16);
        const at::Tensor weight = at::randn({out, in}).to(at::kBFloat16);
        const at::Tensor bias = at::randn({out}).to(at::kBFloat16);
        for (const bool has_bias : {false, true}) {
          const auto b = has_bias ? std::optional(bias) : std::nullopt;
          const auto wide_b = has_bias ? std::optional(bias.to(at::kDouble)) : std::nullopt;
          const at::Tensor exact = at::linear(x.to(at::kDouble), weight.to(at::kDouble), wide_b);
          testing::expect_as_good_as(i1::linear(x, weight, b), at::linear(x, weight, b), exact,
                                     1.5);
        }
      }
    }
  }
}

// Depths that are cut into parts, and rows that are cut into chunks, neither evenly.
TEST(Linear, ALongDepthInPartsIsAsGoodAndDependsOnItsRowAlone) {
  const at::NoGradGuard no_gradients;
  for (const int64_t in : {672, 704, 1344, 1376, 2048, 2080, 5376}) {
    for (const int64_t out : {5, 33, 64}) {
      const at::Tensor x = at::randn({500, in}).to(at::kBFloat16);
      const at::Tensor weight = at::randn({out, in}).to(at::kBFloat16);
      const at::Tensor bias = at::randn({out}).to(at::kBFloat16);
      const at::Tensor y = i1::linear(x, weight, bias);
      const at::Tensor exact =
          at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
      testing::expect_as_good_as(y, at::linear(x, weight, bias), exact, 1.5);
      for (const int64_t rows : {1, 16, 47, 300})
        EXPECT_TRUE(at::equal(i1::linear(x.narrow(0, 0, rows), weight, bias), y.narrow(0, 0, rows)))
            << in << " -> " << out << ", " << rows << " rows";
    }
  }
}

// Rows apart and not aligned, as views of a larger buffer and of a file have them.
TEST(Linear, TakesRowsThatAreApart) {
  const at::NoGradGuard no_gradients;
  const at::Tensor wide = at::randn({40, 100}).to(at::kBFloat16);
  const at::Tensor x = wide.narrow(1, 3, 64), weight = wide.narrow(1, 33, 64).narrow(0, 1, 37);
  EXPECT_TRUE(at::equal(i1::linear(x, weight), i1::linear(x.contiguous(), weight.contiguous())));
}

}  // namespace
}  // namespace i1
