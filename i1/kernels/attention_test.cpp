#include "i1/kernels/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "i1/kernels/amx.h"
#include "i1/kernels/attention_kernels.h"

namespace i1 {
namespace {

struct Case {
  std::string name;
  int64_t H, G, E, num_rows;
  std::vector<Segment> segments;
  bool has_bias = false;
  double softcap = 0;
};

std::vector<Case> cases() {
  std::vector<Case> all = {
      {"one row", 1, 1, 16, 1, {{0, 1, 1, 0}}},
      {"training at 64 px", 4, 4, 72, 60, {{0, 16, 32, 12}, {16, 16, 44, 16}}},
      {"no text", 2, 2, 20, 16, {{0, 16, 16, 0}}},
      {"text alone, biased", 4, 4, 72, 40, {{0, 0, 0, 13}, {0, 0, 13, 27}}, true},
      {"grouped heads, soft cap", 4, 2, 64, 31, {{0, 0, 0, 17}, {0, 0, 17, 14}}, false, 5},
      {"rows in no segment", 2, 2, 24, 20, {{3, 4, 12, 5}}},
      {"more than a thousand rows", 2, 2, 72, 1100, {{0, 1024, 1024, 76}}}};
  for (const int64_t S : {15, 16, 17, 31, 33})
    all.push_back({"length " + std::to_string(S), 2, 1, 18, S, {{0, S, S, 0}}, true});
  return all;
}

struct Inputs {
  at::Tensor q, k, v, bias, probe;
};

// v is a view with rows apart, as it comes out of a qkv projection.
Inputs make_inputs(const Case& c, at::ScalarType dtype) {
  return {at::randn({c.num_rows, c.H, c.E}).to(dtype), at::randn({c.num_rows, c.G, c.E}).to(dtype),
          at::randn({c.num_rows, 3, c.G, c.E}).to(dtype).select(1, 2),
          c.has_bias ? at::rand({c.num_rows}) * 4 : at::Tensor(),
          at::randn({c.num_rows, c.H, c.E})};
}

struct Outputs {
  at::Tensor out, d_q, d_k, d_v;
};

template <class Attention>
Outputs run(Attention&& attend, const Case& c, const Inputs& inputs, at::ScalarType dtype) {
  const auto leaf = [&](const at::Tensor& x) { return x.to(dtype).detach().requires_grad_(); };
  const at::Tensor q = leaf(inputs.q), k = leaf(inputs.k), v = leaf(inputs.v);
  AttentionOptions options;
  options.logit_softcap = c.softcap;
  const at::Tensor out = attend(q, k, v, c.segments, inputs.bias, options);
  const auto gradients =
      torch::autograd::grad({(out.to(at::kFloat) * inputs.probe).sum()}, {q, k, v});
  return {out.detach(), gradients[0], gradients[1], gradients[2]};
}

double error(const at::Tensor& found, const at::Tensor& expected) {
  return (found.to(at::kDouble) - expected.to(at::kDouble)).norm().item<double>();
}

TEST(Attention, Float32EqualsItsTwinForwardAndBackward) {
  for (const Case& c : cases()) {
    const Inputs inputs = make_inputs(c, at::kFloat);
    const Outputs fast = run(attention, c, inputs, at::kFloat);
    const Outputs exact = run(reference::attention, c, inputs, at::kDouble);
    // Sums of S products of E terms, each rounded: a few dozen epsilons of the norm. Gradients of q
    // and k are differences of terms as large as the incoming gradient.
    const double incoming = inputs.probe.norm().item<double>();
    const auto check = [&](const at::Tensor& found, const at::Tensor& expected, const char* what) {
      EXPECT_LE(error(found, expected), 64 * 1.2e-7 * (expected.norm().item<double>() + incoming))
          << c.name << ", " << what;
    };
    check(fast.out, exact.out, "output");
    check(fast.d_q, exact.d_q, "gradient of q");
    check(fast.d_k, exact.d_k, "gradient of k");
    check(fast.d_v, exact.d_v, "gradient of v");
  }
}

TEST(Attention, Bfloat16IsAsGoodAsThePlainOperations) {
  for (const Case& c : cases()) {
    const Inputs inputs = make_inputs(c, at::kBFloat16);
    const Outputs fast = run(attention, c, inputs, at::kBFloat16);
    const Outputs plain = run(reference::attention, c, inputs, at::kBFloat16);
    const Outputs exact = run(reference::attention, c, inputs, at::kDouble);
    EXPECT_LE(error(fast.out, exact.out), 2 * error(plain.out, exact.out) + 1e-6) << c.name;
    EXPECT_LE(error(fast.d_q, exact.d_q), 3 * error(plain.d_q, exact.d_q) + 1e-6) << c.name;
    EXPECT_LE(error(fast.d_k, exact.d_k), 3 * error(plain.d_k, exact.d_k) + 1e-6) << c.name;
    EXPECT_LE(error(fast.d_v, exact.d_v), 3 * error(plain.d_v, exact.d_v) + 1e-6) << c.name;
  }
}

using Forward = void (*)(const kernels::AttentionHead&, void*);

// By the named instruction, whatever the processor would choose.
at::Tensor forward_by(Forward forward, const Case& c, const Inputs& inputs) {
  const at::Tensor q = inputs.q.contiguous(), k = inputs.k.contiguous(), v = inputs.v.contiguous();
  const at::Tensor out = at::zeros_like(q);
  for (const Segment& segment : c.segments) {
    std::vector<int32_t> rows;
    for (int64_t i = 0; i < segment.image_count; ++i)
      rows.push_back(static_cast<int32_t>(segment.image_begin + i));
    for (int64_t i = 0; i < segment.text_count; ++i)
      rows.push_back(static_cast<int32_t>(segment.text_begin + i));
    const auto count = static_cast<int64_t>(rows.size());
    std::vector<char> scratch(kernels::attention_bf16_scratch(count, c.E));
    for (int64_t h = 0; h < c.H; ++h) {
      const int64_t g = h / (c.H / c.G);
      kernels::AttentionHead head{};
      head.rows = rows.data();
      head.count = count;
      head.head_dim = c.E;
      head.q = q.data_ptr<at::BFloat16>() + h * c.E;
      head.k = k.data_ptr<at::BFloat16>() + g * c.E;
      head.v = v.data_ptr<at::BFloat16>() + g * c.E;
      head.out = out.data_ptr<at::BFloat16>() + h * c.E;
      head.q_stride = head.out_stride = c.H * c.E;
      head.k_stride = head.v_stride = c.G * c.E;
      head.scale = 1 / std::sqrt(static_cast<float>(c.E));
      head.element = kernels::Element::kBfloat16;
      forward(head, scratch.data());
    }
  }
  return out;
}

TEST(Attention, ProductsOfBfloat16AreAsGoodAsThePlainOperations) {
  if (!kernels::has_avx512_bf16()) GTEST_SKIP() << "no such products: all is float32";
  for (const Case& c : cases()) {
    if (c.softcap != 0) continue;
    const Inputs inputs = make_inputs(c, at::kBFloat16);
    const auto twin = [&](at::ScalarType dtype) {
      return reference::attention(inputs.q.to(dtype), inputs.k.to(dtype), inputs.v.to(dtype),
                                  c.segments);
    };
    const at::Tensor exact = twin(at::kDouble);
    const double plain = error(twin(at::kBFloat16), exact);
    EXPECT_LE(error(attention(inputs.q, inputs.k, inputs.v, c.segments), exact), 2 * plain + 1e-6)
        << c.name;
    EXPECT_LE(error(forward_by(&kernels::attention_forward_avx512_bf16, c, inputs), exact),
              2 * plain + 1e-6)
        << c.name;
    if (!kernels::has_amx()) continue;
    EXPECT_LE(error(forward_by(&kernels::attention_forward_amx, c, inputs), exact),
              2 * plain + 1e-6)
        << c.name;
  }
}

// Logits far apart: what was gathered before a much larger one counts for nothing, and no weight
// overflows.
TEST(Attention, LateLargeLogitsTakeOver) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const int64_t S = 300;
    at::Tensor k = at::randn({S, 1, 32}), v = at::randn({S, 1, 32});
    k[290].fill_(40);
    const at::Tensor q = at::ones({S, 1, 32});
    const at::Tensor out = attention(q.to(dtype), k.to(dtype), v.to(dtype), {{0, S, S, 0}});
    EXPECT_TRUE(
        at::allclose(out.to(at::kFloat), v[290].to(dtype).to(at::kFloat).expand({S, 1, 32})));
  }
}

TEST(Attention, ValuesThatAreNotFiniteAreSeen) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (int which = 0; which < 3; ++which) {
      at::Tensor qkv[3];
      for (at::Tensor& x : qkv) x = at::randn({200, 1, 20}).to(dtype);
      qkv[which][150][0][3] = std::nanf("");
      const at::Tensor out = attention(qkv[0], qkv[1], qkv[2], {{0, 200, 200, 0}});
      EXPECT_TRUE(out[150].isnan().any().item<bool>()) << which << " " << dtype;
    }
  }
}

TEST(Attention, ASampleDoesNotDependOnItsNeighbours) {
  const Case c = {"", 4, 4, 72, 60, {{0, 16, 32, 12}, {16, 16, 44, 16}}};
  const Inputs inputs = make_inputs(c, at::kBFloat16);
  const at::Tensor both = attention(inputs.q, inputs.k, inputs.v, c.segments);
  const at::Tensor alone = attention(inputs.q, inputs.k, inputs.v, {c.segments[1]});
  EXPECT_TRUE(at::equal(both.narrow(0, 16, 16), alone.narrow(0, 16, 16)));
  EXPECT_TRUE(at::equal(both.narrow(0, 44, 16), alone.narrow(0, 44, 16)));
  EXPECT_EQ(alone.narrow(0, 0, 16).count_nonzero().item<int64_t>(), 0);
}

TEST(Attention, OneBiasedKeyStandsForManyEqualOnes) {
  const at::Tensor q = at::randn({5, 2, 24}), k = at::randn({5, 2, 24}), v = at::randn({5, 2, 24});
  const at::Tensor repeated_k = at::cat({k, k.narrow(0, 4, 1).expand({6, 2, 24})});
  const at::Tensor repeated_v = at::cat({v, v.narrow(0, 4, 1).expand({6, 2, 24})});
  const at::Tensor repeated_q = at::cat({q, q.narrow(0, 4, 1).expand({6, 2, 24})});
  at::Tensor bias = at::zeros({5});
  bias[4] = std::log(7.0);
  const at::Tensor one = attention(q, k, v, {{0, 5, 5, 0}}, bias);
  const at::Tensor many = attention(repeated_q, repeated_k, repeated_v, {{0, 11, 11, 0}});
  EXPECT_LE(error(one, many.narrow(0, 0, 5)), 1e-5);
}

TEST(Attention, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(attention(at::randn({4, 3, 8}), at::randn({4, 2, 8}), at::randn({4, 2, 8}), {}),
               c10::Error);
}

}  // namespace
}  // namespace i1
