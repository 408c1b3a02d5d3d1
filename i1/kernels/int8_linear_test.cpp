#include "i1/kernels/int8_linear.h"

#include "i1/kernels/amx.h"
#include "i1/kernels/dispatch.h"
#include "i1/kernels/int8_linear_kernels.h"
#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

struct Layer {
  at::Tensor weight, panels, row_scale, bias;

  operator Int8Weights() const { return {panels, row_scale, bias}; }
};

Layer random_layer(int64_t in, int64_t out, at::ScalarType dtype = at::kFloat) {
  const at::Tensor weight = at::randint(-127, 128, {out, in}, at::kChar);
  return {weight, pack_int8(weight), at::rand({out}) * 0.01 + 0.001, at::randn({out}).to(dtype)};
}

at::Tensor fused(const at::Tensor& x, const Layer& layer, int64_t block_depth = kWholeRow) {
  return int8_linear(x, layer, block_depth);
}

at::Tensor twin(const at::Tensor& x, const Layer& layer, int64_t block_depth = kWholeRow) {
  return reference::int8_linear(x, layer, block_depth);
}

// With the named instruction, whatever the processor would choose.
using Product = void (*)(const kernels::Int8Product&, int64_t, int64_t);
at::Tensor product(const at::Tensor& x, const Layer& layer, int64_t block_depth, Product run) {
  const Int8Rows rows = reference::quantize_to_int8(x, block_depth);
  const int64_t N = x.size(0), F = layer.row_scale.size(0), G = layer.panels.size(1);
  const at::Tensor values =
      at::constant_pad_nd(rows.values, {0, kernels::padded_depth(4 * G) - x.size(1)}).contiguous();
  const at::Tensor y = at::empty({N, F}, x.options());
  std::vector<at::Tensor> block_sums;
  for (const at::Tensor& block : values.split(block_depth, 1))
    block_sums.push_back(block.sum(1, true, at::kInt));
  const at::Tensor sums = at::cat(block_sums, 1);
  run({.x = values.const_data_ptr<int8_t>(),
       .x_scale = rows.scale.const_data_ptr<float>(),
       .x_sum = sums.const_data_ptr<int32_t>(),
       .panels = layer.panels.const_data_ptr<uint8_t>(),
       .scale = layer.row_scale.const_data_ptr<float>(),
       .bias = layer.bias.const_data_ptr(),
       .rows = N,
       .groups = G,
       .F = F,
       .block_depth = block_depth,
       .y = y.mutable_data_ptr(),
       .y_stride = F,
       .element = kernels::element_of(x)},
      0, layer.panels.size(0));
  return y;
}

TEST(QuantizeToInt8, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t K : edge_widths()) {
      for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        const at::Tensor x = (at::randn({7, K}) * 3).to(dtype);
        for (const int64_t block_depth : {K, int64_t{24}, int64_t{128}}) {
          const Int8Rows ours = quantize_to_int8(x, block_depth);
          const Int8Rows plain = reference::quantize_to_int8(x, block_depth);
          EXPECT_TRUE(at::equal(ours.values, plain.values)) << K << " " << block_depth;
          EXPECT_TRUE(at::equal(ours.scale, plain.scale)) << K << " " << block_depth;
        }
      }
    }
  });
}

TEST(QuantizeToInt8, IsOffByHalfAStepAtMostAndUsesTheWholeRange) {
  for_each_target([] {
    const at::Tensor x = at::randn({50, 100});
    const Int8Rows rows = quantize_to_int8(x, 100);
    const at::Tensor error = (rows.values * rows.scale - x).abs();
    const at::Tensor step = rows.scale;
    EXPECT_TRUE((error <= step * (0.5 + 127 * kEpsilon)).all().item<bool>());
    EXPECT_TRUE((rows.values.abs().amax(1) == 127).all().item<bool>());
  });
}

TEST(QuantizeToInt8, RowsOfZerosStayAndRowsThatAreNotFiniteSayIt) {
  for_each_target([] {
    const float infinity = std::numeric_limits<float>::infinity();
    for (const int64_t K : {3, 40}) {
      at::Tensor x = at::randn({5, K});
      x[0].fill_(0);
      x[1].fill_(1e-38f);
      x[2][K - 1] = std::nanf("");
      x[3][0] = -infinity;
      const Int8Rows rows = quantize_to_int8(x, K);
      EXPECT_EQ(rows.scale[0][0].item<float>(), 0);
      EXPECT_EQ(rows.scale[1][0].item<float>(), 0);
      EXPECT_TRUE(std::isnan(rows.scale[2][0].item<float>()));
      EXPECT_TRUE(std::isnan(rows.scale[3][0].item<float>()));
      EXPECT_TRUE(std::isfinite(rows.scale[4][0].item<float>()));
      EXPECT_EQ(rows.values.narrow(0, 0, 4).abs().sum().item<int64_t>(), 0);
    }
  });
}

// The sums are exact; their conversion, the product of the scales and the fused addition round.
TEST(Int8Linear, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t out : edge_widths()) {
      for (const int64_t in : {1, 31, 64, 129, 300}) {
        const Layer layer = random_layer(in, out);
        const at::Tensor x = at::randn({5, in});
        for (const int64_t block_depth : {kWholeRow, kShortBlock, int64_t{64}}) {
          const at::Tensor exact = twin(x, layer, block_depth);
          const double largest = exact.abs().max().item<double>() + 1;
          expect_near(fused(x, layer, block_depth), exact,
                      8 * kEpsilon * (largest + 127 * in * 0.012));
        }
      }
    }
  });
}

TEST(Int8Linear, Bfloat16IsRoundedOnce) {
  for_each_target([] {
    const Layer layer = random_layer(288, 100, at::kBFloat16);
    const at::Tensor x = at::randn({33, 288}).to(at::kBFloat16);
    const at::Tensor wide_bias = layer.bias.to(at::kFloat);
    const at::Tensor exact = reference::int8_linear(
        x.to(at::kFloat), {layer.panels, layer.row_scale, wide_bias}, kWholeRow);
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
    expect_as_good_as(widened_linear(x, layer), plain, exact, 2);
  }
}

// What runs on a GPU, here on the CPU, with the shapes that cuBLAS would refuse as they are.
TEST(Int8Linear, LibTorchsProductEqualsTheTwin) {
  for (const int64_t out : {1, 8, 33}) {
    for (const int64_t in : {1, 64, 129, 300}) {
      const Layer layer = random_layer(in, out);
      for (const int64_t rows : {1, 17, 40}) {
        const at::Tensor x = at::randn({rows, in});
        for (const int64_t block_depth : {kWholeRow, kShortBlock}) {
          const at::Tensor exact = twin(x, layer, block_depth);
          const double largest = exact.abs().max().item<double>() + 1;
          expect_near(kernels::int8_product_libtorch(x, layer, block_depth), exact,
                      8 * kEpsilon * (largest + 127 * in * 0.012));
        }
      }
    }
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

TEST(Int8Linear, EveryInstructionGivesTheSameBits) {
  if (!kernels::has_avx2()) GTEST_SKIP() << "no AVX2: int8_linear widens its weights";
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t rows : {1, 2, 3, 11, 12, 13, 16, 17, 24, 59, 64}) {
      for (const int64_t out : {1, 15, 16, 17, 31, 32, 33, 96}) {
        const Layer layer = random_layer(330, out, dtype);
        const at::Tensor x = (at::randn({rows, 330}) * 3).to(dtype);
        for (const int64_t depth : {kWholeRow, kShortBlock}) {
          const at::Tensor y = fused(x, layer, depth);
          EXPECT_TRUE(at::equal(product(x, layer, depth, &kernels::int8_product_avx2), y));
          if (!kernels::has_vnni()) continue;
          EXPECT_TRUE(at::equal(product(x, layer, depth, &kernels::int8_product_vnni), y));
          if (!kernels::has_amx()) continue;
          EXPECT_TRUE(at::equal(product(x, layer, depth, &kernels::int8_product_amx), y));
        }
      }
    }
  }
}

// The deepest product that is allowed, with the largest values.
TEST(Int8Linear, TheLargestSumsDoNotOverflow) {
  constexpr int64_t kDepth = 1 << 16;
  const at::Tensor weight = at::full({3, kDepth}, 127, at::kChar);
  const Layer layer{weight, pack_int8(weight), at::ones({3}), at::zeros({3})};
  const at::Tensor y = fused(at::ones({2, kDepth}), layer);
  EXPECT_TRUE(at::allclose(y, at::full({2, 3}, 127.0f * kDepth), 1e-6));
  EXPECT_THROW(pack_int8(at::zeros({1, kDepth + 1}, at::kChar)), c10::Error);
}

// What short blocks are for: the values of the other blocks keep their precision.
TEST(Int8Linear, OneLargeValueCostsItsBlockAlone) {
  const Layer layer = random_layer(512, 64);
  at::Tensor x = at::randn({20, 512});
  x.select(1, 5).fill_(1000);
  const at::Tensor weight = layer.weight * layer.row_scale.unsqueeze(1);
  const at::Tensor exact = at::linear(x, weight, layer.bias);
  const auto error = [&](int64_t block_depth) {
    return (fused(x, layer, block_depth) - exact).pow(2).mean().item<double>();
  };
  // A quarter of the values is lost as before, the others are about a hundred times as precise.
  EXPECT_LT(error(kShortBlock), 0.3 * error(kWholeRow));
}

TEST(Int8Linear, PackingKeepsEveryWeight) {
  for (const int64_t out : {1, 31, 32, 33, 70}) {
    for (const int64_t in : {1, 3, 4, 5, 100}) {
      const at::Tensor weight = at::randint(-128, 128, {out, in}, at::kChar);
      const at::Tensor panels = pack_int8(weight);
      EXPECT_TRUE(at::equal(panels, reference::pack_int8(weight)));
      EXPECT_TRUE(at::equal(unpack_int8(panels, out, in), weight));
    }
  }
}

TEST(WidenInt8, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t columns : edge_widths()) {
      const at::Tensor weight = at::randint(-128, 128, {5, columns}, at::kChar);
      const at::Tensor scale = at::randn({5});
      for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
        EXPECT_TRUE(at::equal(widen_int8(weight, scale, dtype),
                              reference::widen_int8(weight, scale, dtype)));
    }
  });
}

TEST(Int8Linear, TakesAnyShape) {
  const Layer layer = random_layer(20, 9);
  const at::Tensor x = at::randn({2, 3, 20}), y = fused(x, layer);
  EXPECT_EQ(y.sizes(), (at::IntArrayRef{2, 3, 9}));
  EXPECT_TRUE(at::equal(y.flatten(0, 1), fused(x.flatten(0, 1), layer)));
  EXPECT_EQ(fused(at::empty({0, 20}), layer).sizes(), (at::IntArrayRef{0, 9}));
}

TEST(JointInt8Linear, EachPartGoesThroughItsOwnWeights) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Layer image = random_layer(100, 72, dtype), text = random_layer(100, 72, dtype);
    const at::Tensor x = at::randn({40, 100}).to(dtype);
    for (const int64_t M : {0, 1, 25, 40}) {
      const at::Tensor y = joint_int8_linear(x, M, image, text);
      EXPECT_TRUE(at::equal(y.narrow(0, 0, M), fused(x.narrow(0, 0, M), image)));
      EXPECT_TRUE(at::equal(y.narrow(0, M, 40 - M), fused(x.narrow(0, M, 40 - M), text)));
    }
  }
}

TEST(Int8Linear, RefusesWhatDoesNotFit) {
  const Layer layer = random_layer(20, 9), other = random_layer(20, 10);
  EXPECT_THROW(fused(at::randn({4, 25}), layer), c10::Error);
  EXPECT_THROW(fused(at::randn({4, 20}).to(at::kBFloat16), layer), c10::Error);
  EXPECT_THROW(int8_linear(at::randn({4, 20}), {layer.weight, layer.row_scale, layer.bias}),
               c10::Error);
  EXPECT_THROW(joint_int8_linear(at::randn({4, 20}), 5, layer, layer), c10::Error);
  EXPECT_THROW(joint_int8_linear(at::randn({4, 20}), 2, layer, other), c10::Error);
}

}  // namespace
}  // namespace i1
