#include "i1/kernels/int8_linear.h"

#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

struct Layer {
  at::Tensor weight, row_scale, bias;
};

Layer random_layer(int64_t in, int64_t out, at::ScalarType dtype = at::kFloat) {
  return {at::randint(-127, 128, {out, in}, at::kChar), at::rand({out}) * 0.01 + 0.001,
          at::randn({out}).to(dtype)};
}

at::Tensor fused(const at::Tensor& x, const Layer& layer) {
  return int8_linear(x, layer.weight, layer.row_scale, layer.bias);
}

at::Tensor twin(const at::Tensor& x, const Layer& layer) {
  return reference::int8_linear(x, layer.weight, layer.row_scale, layer.bias);
}

TEST(QuantizeActivations, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t K : edge_widths()) {
      for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        const at::Tensor x = (at::randn({7, K}) * 3).to(dtype);
        const Int8Rows ours = quantize_activations(x), plain = reference::quantize_activations(x);
        EXPECT_TRUE(at::equal(ours.values, plain.values)) << K;
        EXPECT_TRUE(at::equal(ours.scale, plain.scale)) << K;
      }
    }
  });
}

TEST(QuantizeActivations, IsOffByHalfAStepAtMostAndUsesTheWholeRange) {
  for_each_target([] {
    const at::Tensor x = at::randn({50, 100});
    const Int8Rows rows = quantize_activations(x);
    const at::Tensor error = (rows.values * rows.scale.unsqueeze(1) - x).abs();
    const at::Tensor step = rows.scale.unsqueeze(1);
    EXPECT_TRUE((error <= step * (0.5 + 127 * kEpsilon)).all().item<bool>());
    EXPECT_TRUE((rows.values.abs().amax(1) == 127).all().item<bool>());
  });
}

TEST(QuantizeActivations, RowsOfZerosStayAndRowsThatAreNotFiniteSayIt) {
  for_each_target([] {
    const float infinity = std::numeric_limits<float>::infinity();
    for (const int64_t K : {3, 40}) {
      at::Tensor x = at::randn({5, K});
      x[0].fill_(0);
      x[1].fill_(1e-38f);
      x[2][K - 1] = std::nanf("");
      x[3][0] = -infinity;
      const Int8Rows rows = quantize_activations(x);
      EXPECT_EQ(rows.scale[0].item<float>(), 0);
      EXPECT_EQ(rows.scale[1].item<float>(), 0);
      EXPECT_TRUE(std::isnan(rows.scale[2].item<float>()));
      EXPECT_TRUE(std::isnan(rows.scale[3].item<float>()));
      EXPECT_TRUE(std::isfinite(rows.scale[4].item<float>()));
      EXPECT_EQ(rows.values.narrow(0, 0, 4).abs().sum().item<int64_t>(), 0);
    }
  });
}

// The sums are exact; their conversion, the product of the scales and the fused addition round.
TEST(Int8Linear, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t out : edge_widths()) {
      for (const int64_t in : {1, 31, 64, 129}) {
        const Layer layer = random_layer(in, out);
        const at::Tensor x = at::randn({5, in});
        const at::Tensor exact = twin(x, layer);
        const double largest = exact.abs().max().item<double>() + 1;
        expect_near(fused(x, layer), exact, 8 * kEpsilon * (largest + 127 * in * 0.012));
      }
    }
  });
}

TEST(Int8Linear, Bfloat16IsRoundedOnce) {
  for_each_target([] {
    const Layer layer = random_layer(288, 100, at::kBFloat16);
    const at::Tensor x = at::randn({33, 288}).to(at::kBFloat16);
    const at::Tensor exact =
        twin(x.to(at::kFloat), {layer.weight, layer.row_scale, layer.bias.to(at::kFloat)});
    const double unit = exact.abs().max().item<double>() * 0x1p-8;
    expect_near(fused(x, layer), exact, unit);
  });
}

TEST(Int8Linear, IsCloseToTheProductOfTheWeightsItStandsFor) {
  const Layer layer = random_layer(512, 64);
  const at::Tensor x = at::randn({40, 512});
  const at::Tensor weight = layer.weight * layer.row_scale.unsqueeze(1);
  const at::Tensor exact = at::linear(x, weight, layer.bias);
  const at::Tensor error = fused(x, layer) - exact;
  // Each value of x is off by at most half of 1/127 of the largest, spread evenly.
  EXPECT_LT((error.pow(2).mean() / exact.pow(2).mean()).sqrt().item<double>(), 0.01);
}

TEST(Int8Linear, WithoutInt8ProductsTheWeightsAreWidened) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Layer layer = random_layer(96, 33, dtype);
    const at::Tensor x = at::randn({12, 96}).to(dtype);
    const at::Tensor weight = layer.weight.to(at::kDouble) * layer.row_scale.unsqueeze(1);
    const at::Tensor exact = at::linear(x.to(at::kDouble), weight, layer.bias.to(at::kDouble));
    const at::Tensor plain = at::linear(x, weight.to(dtype), layer.bias);
    expect_as_good_as(widened_linear(x, layer.weight, layer.row_scale, layer.bias), plain, exact,
                      2);
  }
}

TEST(Int8Linear, ARowDependsOnThatRowAlone) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Layer layer = random_layer(100, 72, dtype);
    const at::Tensor x = at::randn({300, 100}).to(dtype), all = fused(x, layer);
    for (const int64_t rows : {1, 2, 3, 17, 299})
      EXPECT_TRUE(at::equal(fused(x.narrow(0, 0, rows), layer), all.narrow(0, 0, rows))) << rows;
    expect_independent_of_threads([&] { return std::vector<at::Tensor>{fused(x, layer)}; });
  }
}

TEST(Int8Linear, WritesIntoRowsThatAreApartAndTakesAnyShape) {
  const Layer layer = random_layer(20, 9);
  const at::Tensor x = at::randn({2, 3, 20});
  const at::Tensor y = fused(x, layer);
  EXPECT_EQ(y.sizes(), (at::IntArrayRef{2, 3, 9}));
  at::Tensor wide = at::zeros({6, 12});
  at::Tensor part = wide.narrow(1, 2, 9);
  int8_linear_out(part, x.flatten(0, 1), layer.weight, layer.row_scale, layer.bias);
  EXPECT_TRUE(at::equal(part, y.flatten(0, 1)));
  EXPECT_EQ(wide.narrow(1, 0, 2).abs().sum().item<float>(), 0);
  EXPECT_EQ(wide.narrow(1, 11, 1).abs().sum().item<float>(), 0);
  EXPECT_EQ(fused(at::empty({0, 20}), layer).sizes(), (at::IntArrayRef{0, 9}));
}

TEST(Int8Linear, RefusesWhatDoesNotFit) {
  const Layer layer = random_layer(20, 9);
  EXPECT_THROW(fused(at::randn({4, 21}), layer), c10::Error);
  EXPECT_THROW(fused(at::randn({4, 20}).to(at::kBFloat16), layer), c10::Error);
  EXPECT_THROW(
      int8_linear(at::randn({4, 20}), layer.weight.to(at::kFloat), layer.row_scale, layer.bias),
      c10::Error);
}

}  // namespace
}  // namespace i1
