#include "i1/kernels/rms_norm.h"

#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
using Tensors = std::vector<at::Tensor>;

constexpr double kEps = 1e-6;

// inputs: x, scale
Tensors fused(const Tensors& t) { return {rms_norm(t[0], t[1], kEps)}; }
Tensors twin(const Tensors& t) { return {reference::rms_norm(t[0], t[1], kEps)}; }
// inputs: residual, x, scale
Tensors fused_add(const Tensors& t) { return {add_rms_norm(t[0], t[1], t[2], kEps)}; }
Tensors twin_add(const Tensors& t) { return {reference::add_rms_norm(t[0], t[1], t[2], kEps)}; }

// The inverse root of a sum of D squares is off by at most D / 2 + 2 epsilons, three roundings
// follow.
double forward_bound(int64_t D, const at::Tensor& y) {
  return (static_cast<double>(D) / 2 + 5) * kEpsilon * y.abs().max().item<double>();
}

// dx = inverse * (g - n * mean(g * n)) with |n| <= sqrt(D) and |mean(g * n)| <= max |g|, where g, n
// and the mean are each off by at most D + 4 epsilons.
double dx_bound(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& dy) {
  const double D = static_cast<double>(x.size(-1));
  const double inverse = ((x * x).mean(-1) + kEps).rsqrt().max().item<double>();
  const double g = (dy * scale).abs().max().item<double>();
  return 2 * (D + 4) * kEpsilon * inverse * g * (1 + std::sqrt(D));
}

// dscale: a sum over the rows of dy * n.
double dscale_bound(const at::Tensor& x, const at::Tensor& dy) {
  const double D = static_cast<double>(x.size(-1)), rows = static_cast<double>(x.size(0));
  const at::Tensor n = x * ((x * x).mean({-1}, true) + kEps).rsqrt();
  return (rows + D / 2 + 5) * kEpsilon * (dy * n).abs().sum(0).max().item<double>();
}

TEST(RmsNorm, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t D : edge_widths()) {
      for (const int64_t rows : {1, 3, 70}) {
        const Tensors inputs = {at::randn({rows, D}), at::rand({D}) + 0.5};
        const at::Tensor exact = twin(to(at::kDouble, inputs))[0];
        expect_near(fused(inputs)[0], exact, forward_bound(D, exact));
      }
    }
  });
}

TEST(RmsNorm, GradientsEqualThoseOfTheTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t D : edge_widths()) {
      for (const int64_t rows : {1, 3, 70, 300}) {
        const Tensors inputs = {at::randn({rows, D}), at::rand({D}) + 0.5};
        const Tensors probes = {at::randn({rows, D})};
        const Tensors ours = gradients_of(fused, inputs, probes);
        const Tensors exact = gradients_of(twin, to(at::kDouble, inputs), to(at::kDouble, probes));
        expect_near(ours[0], exact[0], dx_bound(inputs[0], inputs[1], probes[0]));
        expect_near(ours[1], exact[1], dscale_bound(inputs[0], probes[0]));
      }
    }
  });
}

TEST(RmsNorm, GradientsOfTheTwinEqualFiniteDifferences) {
  const auto options = at::TensorOptions(at::kDouble);
  const at::Tensor x = at::randn({3, 5}, options), residual = at::randn({3, 5}, options);
  const at::Tensor scale = at::rand({5}, options) + 0.5;
  expect_gradients_equal_differences(twin, {x, scale});
  expect_gradients_equal_differences(twin_add, {residual, x, scale});
}

TEST(RmsNorm, Float64GoesToTheTwin) {
  const Tensors inputs = to(at::kDouble, {at::randn({3, 5}), at::rand({5})});
  EXPECT_TRUE(at::equal(fused(inputs)[0], twin(inputs)[0]));
}

TEST(RmsNorm, Bfloat16IsAsGoodAsThePlainOperations) {
  for_each_target([] {
    for (const int64_t D : {7, 72, 288, 2016}) {
      const at::Tensor scale = at::rand({D}) + 0.5;
      const Tensors inputs = {at::randn({70, D}).to(at::kBFloat16), scale};
      const Tensors probes = {at::randn({70, D}).to(at::kBFloat16)};
      const Tensors wide = to(at::kDouble, inputs);
      expect_as_good_as(fused(inputs)[0], twin(inputs)[0], twin(wide)[0], 2);
      const Tensors ours = gradients_of(fused, inputs, probes);
      const Tensors plain = gradients_of(twin, inputs, probes);
      const Tensors exact = gradients_of(twin, wide, to(at::kDouble, probes));
      expect_as_good_as(ours[0], plain[0], exact[0], 3);
      expect_near(ours[1], exact[1], dscale_bound(inputs[0].to(at::kFloat), probes[0]));
    }
  });
}

TEST(RmsNorm, ReadsRowsThatAreApartAndMisaligned) {
  for_each_target([] {
    const at::Tensor wide = at::randn({5, 40}), scale = at::rand({24});
    const at::Tensor apart = wide.narrow(1, 3, 24);
    EXPECT_TRUE(at::equal(rms_norm(apart, scale), rms_norm(apart.contiguous(), scale)));
    const at::Tensor heads = at::randn({5, 3, 2, 24}).select(1, 1);  // no single row stride
    EXPECT_TRUE(at::equal(rms_norm(heads, scale), rms_norm(heads.contiguous(), scale)));
    const at::Tensor transposed = at::randn({24, 5}).t();  // last dimension not contiguous
    EXPECT_TRUE(at::equal(rms_norm(transposed, scale), rms_norm(transposed.contiguous(), scale)));
  });
}

TEST(RmsNorm, TakesGradientsWhoseRowsAreApart) {
  const at::Tensor x = at::randn({5, 24}).requires_grad_(), scale = at::rand({24});
  const at::Tensor slope = at::randn({24, 5}).t();
  const Tensors apart = torch::autograd::grad({rms_norm(x, scale)}, {x}, {slope});
  const Tensors together = torch::autograd::grad({rms_norm(x, scale)}, {x}, {slope.contiguous()});
  EXPECT_TRUE(at::equal(apart[0], together[0]));
}

TEST(RmsNorm, KeepsShapesWithoutRowsAndWithManyDimensions) {
  const at::Tensor scale = at::rand({6});
  EXPECT_EQ(rms_norm(at::empty({0, 6}), scale).sizes(), (at::IntArrayRef{0, 6}));
  const at::Tensor x = at::randn({2, 3, 4, 6});
  EXPECT_TRUE(at::equal(rms_norm(x, scale).view({24, 6}), rms_norm(x.view({24, 6}), scale)));
  EXPECT_TRUE(at::equal(rms_norm(x[0][0][0], scale), rms_norm(x, scale)[0][0][0]));
}

TEST(RmsNorm, GradientOfNoRowsIsZero) {
  const at::Tensor x = at::empty({0, 6}).requires_grad_(), scale = at::rand({6}).requires_grad_();
  const Tensors gradients = torch::autograd::grad({rms_norm(x, scale).sum()}, {x, scale});
  EXPECT_EQ(gradients[0].sizes(), x.sizes());
  EXPECT_TRUE(at::equal(gradients[1], at::zeros({6})));
}

TEST(RmsNorm, RowsOfZerosStayZero) {
  EXPECT_TRUE(at::equal(rms_norm(at::zeros({2, 9}), at::ones({9})), at::zeros({2, 9})));
}

TEST(RmsNorm, RefusesAScaleThatDoesNotFit) {
  EXPECT_THROW(rms_norm(at::randn({2, 4}), at::ones({3})), c10::Error);
  EXPECT_THROW(rms_norm(at::randn({2, 4}), at::ones({1, 4})), c10::Error);
  EXPECT_THROW(rms_norm(at::randn({2, 4}), at::ones({4}).to(at::kBFloat16)), c10::Error);
  EXPECT_THROW(add_rms_norm(at::randn({1, 4}), at::randn({2, 4}), at::ones({4})), c10::Error);
}

TEST(AddRmsNorm, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t D : edge_widths()) {
      const Tensors inputs = {at::randn({7, D}), at::randn({7, D}), at::rand({D}) + 0.5};
      const Tensors wide = to(at::kDouble, inputs);
      const at::Tensor exact = twin_add(wide)[0];
      const double bound = forward_bound(D, exact) + forward_bound(D, exact - wide[0]);
      expect_near(fused_add(inputs)[0], exact, bound);
    }
  });
}

TEST(AddRmsNorm, GradientsEqualThoseOfTheTwin) {
  for_each_target([] {
    for (const int64_t D : {1, 17, 72, 288}) {
      const Tensors inputs = {at::randn({70, D}), at::randn({70, D}), at::rand({D}) + 0.5};
      const Tensors probes = {at::randn({70, D})};
      const Tensors ours = gradients_of(fused_add, inputs, probes);
      const Tensors exact =
          gradients_of(twin_add, to(at::kDouble, inputs), to(at::kDouble, probes));
      EXPECT_TRUE(at::equal(ours[0], probes[0]));
      expect_near(ours[1], exact[1], dx_bound(inputs[1], inputs[2], probes[0]));
      expect_near(ours[2], exact[2], dscale_bound(inputs[1], probes[0]));
    }
  });
}

TEST(AddRmsNorm, Bfloat16IsAsGoodAsThePlainOperations) {
  for_each_target([] {
    const Tensors inputs = {at::randn({70, 288}).to(at::kBFloat16),
                            at::randn({70, 288}).to(at::kBFloat16), at::rand({288}) + 0.5};
    expect_as_good_as(fused_add(inputs)[0], twin_add(inputs)[0],
                      twin_add(to(at::kDouble, inputs))[0], 2);
  });
}

TEST(AddRmsNorm, DoesNotDependOnTheNumberOfThreads) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Tensors inputs = {at::randn({999, 72}).to(dtype), at::randn({999, 72}).to(dtype),
                            at::rand({72})};
    const Tensors probes = {at::randn({999, 72}).to(dtype)};
    expect_independent_of_threads([&] {
      Tensors results = gradients_of(fused_add, inputs, probes);
      results.push_back(fused_add(inputs)[0]);
      return results;
    });
  }
}

TEST(AddRmsNorm, ARowDoesNotDependOnTheOthers) {
  const at::Tensor x = at::randn({77, 72}), residual = at::randn({77, 72}), scale = at::rand({72});
  const at::Tensor all = add_rms_norm(residual, x, scale);
  EXPECT_TRUE(at::equal(all.narrow(0, 50, 3),
                        add_rms_norm(residual.narrow(0, 50, 3), x.narrow(0, 50, 3), scale)));
}

}  // namespace
}  // namespace i1
