#include "i1/kernels/qk_norm_rope.h"

#include "i1/kernels/kernel_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
using Tensors = std::vector<at::Tensor>;

constexpr double kEps = 1e-6;
constexpr int64_t kHeads = 3;

Tensors list(const Qkv& heads) { return {heads.q, heads.k, heads.v}; }

// inputs: qkv, q_scale, k_scale, cos, sin; the angles get no gradient
Function fused(int64_t num_heads) {
  return [=](const Tensors& t) {
    return list(qk_norm_rope(t[0], num_heads, t[1], t[2], t[3].detach(), t[4].detach(), kEps));
  };
}
Function twin(int64_t num_heads) {
  return [=](const Tensors& t) {
    return list(
        reference::qk_norm_rope(t[0], num_heads, t[1], t[2], t[3].detach(), t[4].detach(), kEps));
  };
}

Tensors random_inputs(int64_t N, int64_t E) {
  const at::Tensor angles = at::rand({N, E / 2}) * 6;
  return {at::randn({N, 3 * kHeads * E}), at::rand({E}) + 0.5, at::rand({E}) + 0.5, at::cos(angles),
          at::sin(angles)};
}

Tensors random_probes(int64_t N, int64_t E) {
  return {at::randn({N, kHeads, E}), at::randn({N, kHeads, E}), at::randn({N, kHeads, E})};
}

std::vector<int64_t> even_widths() {
  std::vector<int64_t> even;
  for (const int64_t E : edge_widths()) {
    if (E % 2 == 0 && E <= 288) even.push_back(E);
  }
  even.insert(even.end(), {6, 10, 14, 18, 30, 34, 66, 70, 96, 128, 256});
  return even;
}

// A norm over E, then a sum of two products of unit length: see rms_norm_test.cpp.
double forward_bound(int64_t E, const at::Tensor& y) {
  return 2 * (static_cast<double>(E) / 2 + 8) * kEpsilon * y.abs().max().item<double>();
}

double dx_bound(const at::Tensor& heads, int64_t E, double largest_slope) {
  const double inverse = ((heads * heads).mean(-1) + kEps).rsqrt().max().item<double>();
  const double e = static_cast<double>(E);
  return 2 * (e + 8) * kEpsilon * inverse * 2 * 1.5 * largest_slope * (1 + std::sqrt(e));
}

TEST(QkNormRope, EqualsItsTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t E : even_widths()) {
      for (const int64_t N : {1, 5}) {
        const Tensors inputs = random_inputs(N, E);
        const Tensors ours = fused(kHeads)(inputs);
        const Tensors exact = twin(kHeads)(to(at::kDouble, inputs));
        expect_near(ours[0], exact[0], forward_bound(E, exact[0]));
        expect_near(ours[1], exact[1], forward_bound(E, exact[1]));
        EXPECT_TRUE(at::equal(ours[2], exact[2].to(at::kFloat)));
      }
    }
  });
}

TEST(QkNormRope, GradientsEqualThoseOfTheTwinAtTheEdgesOfTheVectorWidth) {
  for_each_target([] {
    for (const int64_t E : even_widths()) {
      for (const int64_t N : {1, 70}) {
        const Tensors inputs = random_inputs(N, E), probes = random_probes(N, E);
        const Tensors ours = gradients_of(fused(kHeads), inputs, probes);
        const Tensors exact =
            gradients_of(twin(kHeads), to(at::kDouble, inputs), to(at::kDouble, probes));
        const double slope =
            std::max(probes[0].abs().max().item<double>(), probes[1].abs().max().item<double>());
        const at::Tensor heads = inputs[0].unflatten(1, {3 * kHeads, E});
        expect_near(ours[0], exact[0], dx_bound(heads, E, slope));
        const auto count = static_cast<double>(N * kHeads);
        // a sum of N * H products g * n with |g| <= 2 slope, |n| <= sqrt(E)
        const double bound = (count + static_cast<double>(E) / 2 + 8) * kEpsilon * count * 2 *
                             slope * std::sqrt(static_cast<double>(E));
        expect_near(ours[1], exact[1], bound);
        expect_near(ours[2], exact[2], bound);
      }
    }
  });
}

TEST(QkNormRope, GradientsOfTheTwinEqualFiniteDifferences) {
  const Tensors inputs = to(at::kDouble, random_inputs(2, 6));
  const at::Tensor cos = inputs[3], sin = inputs[4];
  const Function function = [&](const Tensors& t) {
    return list(reference::qk_norm_rope(t[0], kHeads, t[1], t[2], cos, sin, kEps));
  };
  expect_gradients_equal_differences(function, {inputs[0], inputs[1], inputs[2]});
}

TEST(QkNormRope, Bfloat16IsAsGoodAsThePlainOperations) {
  for_each_target([] {
    for (const int64_t E : {10, 64, 72}) {
      Tensors inputs = random_inputs(70, E), probes = to(at::kBFloat16, random_probes(70, E));
      inputs[0] = inputs[0].to(at::kBFloat16);
      const Tensors wide = to(at::kDouble, inputs);
      const Tensors ours = fused(kHeads)(inputs), plain = twin(kHeads)(inputs);
      const Tensors exact = twin(kHeads)(wide);
      for (size_t k = 0; k < 3; ++k) expect_as_good_as(ours[k], plain[k], exact[k], 2);
      const Tensors our_gradients = gradients_of(fused(kHeads), inputs, probes);
      const Tensors plain_gradients = gradients_of(twin(kHeads), inputs, probes);
      const Tensors exact_gradients = gradients_of(twin(kHeads), wide, to(at::kDouble, probes));
      for (size_t k = 0; k < 3; ++k)
        expect_as_good_as(our_gradients[k], plain_gradients[k], exact_gradients[k], 3);
    }
  });
}

TEST(QkNormRope, EachPartMayBeLeftOut) {
  for_each_target([] {
    const int64_t E = 18;
    const Tensors t = random_inputs(5, E);
    const auto compare = [&](const at::Tensor& q_scale, const at::Tensor& k_scale,
                             const at::Tensor& cos, const at::Tensor& sin) {
      const auto run = [&](auto&& operation, const at::Tensor& qkv) {
        return [&, operation](const Tensors& x) {
          return list(operation(x[0], kHeads, q_scale, k_scale, cos, sin, kEps));
        }({qkv});
      };
      const at::Tensor ours_in = t[0].clone().requires_grad_();
      const at::Tensor twin_in = t[0].clone().requires_grad_();
      const Tensors ours = run(&qk_norm_rope, ours_in);
      const Tensors plain = run(&reference::qk_norm_rope, twin_in);
      const Tensors probes = random_probes(5, E);
      for (size_t k = 0; k < 3; ++k) expect_near(ours[k], plain[k], 2 * forward_bound(E, plain[k]));
      expect_near(torch::autograd::grad(ours, {ours_in}, probes)[0],
                  torch::autograd::grad(plain, {twin_in}, probes)[0],
                  2 * dx_bound(t[0].unflatten(1, {3 * kHeads, E}), E, 5));
    };
    compare({}, {}, {}, {});
    compare({}, {}, t[3], t[4]);
    compare(t[1], t[2], {}, {});
    compare(t[1], {}, t[3], t[4]);
    compare({}, t[2], t[3], t[4]);
  });
}

TEST(QkNormRope, OddHeadsAreNormalisedWithoutRotation) {
  for_each_target([] {
    for (const int64_t E : {1, 3, 17}) {
      const at::Tensor qkv = at::randn({4, 3 * kHeads * E}), scale = at::rand({E}) + 0.5;
      const Qkv ours = qk_norm_rope(qkv, kHeads, scale, scale, {}, {}, kEps);
      const Qkv plain = reference::qk_norm_rope(qkv, kHeads, scale, scale, {}, {}, kEps);
      expect_near(ours.q, plain.q, forward_bound(E, plain.q));
      expect_near(ours.k, plain.k, forward_bound(E, plain.k));
    }
  });
}

TEST(QkNormRope, ReadsRowsThatAreApart) {
  const Tensors t = random_inputs(5, 18);
  const at::Tensor wide = at::randn({5, 3 * kHeads * 18 + 7});
  const at::Tensor apart = wide.narrow(1, 3, 3 * kHeads * 18);
  const Tensors ours = fused(kHeads)({apart, t[1], t[2], t[3], t[4]});
  const Tensors together = fused(kHeads)({apart.contiguous(), t[1], t[2], t[3], t[4]});
  for (size_t k = 0; k < 3; ++k) EXPECT_TRUE(at::equal(ours[k], together[k]));
}

TEST(QkNormRope, VIsAViewWhoseGradientComesBackWithTheOthers) {
  const Tensors t = random_inputs(4, 8);
  const at::Tensor qkv = t[0].clone().requires_grad_();
  const Qkv heads = qk_norm_rope(qkv * 1, kHeads, t[1], t[2], t[3], t[4], kEps);
  const at::Tensor probe = at::randn({4, kHeads, 8});
  const at::Tensor gradient = torch::autograd::grad({heads.v}, {qkv}, {probe})[0];
  EXPECT_TRUE(at::equal(gradient.narrow(1, 2 * kHeads * 8, kHeads * 8), probe.flatten(1)));
  EXPECT_EQ(gradient.narrow(1, 0, 2 * kHeads * 8).abs().max().item<float>(), 0);
}

TEST(QkNormRope, TakesGradientsThatAreApart) {
  const Tensors t = random_inputs(5, 8);
  const at::Tensor qkv = t[0].clone().requires_grad_();
  const auto gradient_for = [&](const Tensors& probes) {
    return torch::autograd::grad(list(qk_norm_rope(qkv, kHeads, t[1], t[2], t[3], t[4], kEps)),
                                 {qkv}, probes)[0];
  };
  const at::Tensor joint = at::randn({5, 3, kHeads, 8});  // gradients of one buffer
  const at::Tensor heads_first = at::randn({kHeads, 5, 8}).transpose(0, 1);
  const Tensors apart = {joint.select(1, 0), heads_first, joint.select(1, 2)};
  const Tensors together = {apart[0].contiguous(), apart[1].contiguous(), apart[2].contiguous()};
  EXPECT_TRUE(at::equal(gradient_for(apart), gradient_for(together)));
}

TEST(QkNormRope, DoesNotDependOnTheNumberOfThreads) {
  const Tensors inputs = random_inputs(300, 24), probes = random_probes(300, 24);
  expect_independent_of_threads([&] {
    Tensors results = gradients_of(fused(kHeads), inputs, probes);
    const Tensors outputs = fused(kHeads)(inputs);
    results.resize(3);  // the angles have no gradient
    results.insert(results.end(), outputs.begin(), outputs.end());
    return results;
  });
}

TEST(QkNormRope, TurnsANeighbouringPairByItsAngle) {
  const at::Tensor qkv = at::tensor({3.0f, 4.0f, 1.0f, 0.0f, 5.0f, 6.0f}).view({1, 6});
  const at::Tensor zero = at::zeros({1, 1}), one = at::ones({1, 1});
  const Qkv turned = qk_norm_rope(qkv, 1, {}, {}, zero, one);  // a quarter turn
  EXPECT_TRUE(at::equal(turned.q.flatten(), at::tensor({-4.0f, 3.0f})));
  EXPECT_TRUE(at::equal(turned.k.flatten(), at::tensor({-0.0f, 1.0f})));
  EXPECT_TRUE(at::equal(turned.v.flatten(), at::tensor({5.0f, 6.0f})));
}

TEST(QkNormRope, TakesNoRows) {
  const Tensors t = random_inputs(0, 8);
  EXPECT_EQ(fused(kHeads)(t)[0].sizes(), (at::IntArrayRef{0, kHeads, 8}));
}

TEST(QkNormRope, RefusesShapesThatDoNotFit) {
  const Tensors t = random_inputs(4, 8);
  const auto run = [](const at::Tensor& qkv, int64_t num_heads, const Tensors& rest) {
    qk_norm_rope(qkv, num_heads, rest[0], rest[1], rest[2], rest[3]);
  };
  EXPECT_THROW(run(t[0], 5, {t[1], t[2], t[3], t[4]}), c10::Error);
  EXPECT_THROW(run(t[0], 0, {t[1], t[2], t[3], t[4]}), c10::Error);
  EXPECT_THROW(run(t[0], kHeads, {at::ones({7}), t[2], t[3], t[4]}), c10::Error);
  EXPECT_THROW(run(t[0], kHeads, {t[1], t[2].to(at::kBFloat16), t[3], t[4]}), c10::Error);
  EXPECT_THROW(run(t[0], kHeads, {t[1], t[2], t[3], {}}), c10::Error);
  EXPECT_THROW(run(t[0], kHeads, {t[1], t[2], at::ones({4, 3}), at::ones({4, 3})}), c10::Error);
  EXPECT_THROW(run(t[0], kHeads, {t[1], t[2], at::ones({5, 4}), at::ones({5, 4})}), c10::Error);
  EXPECT_THROW(qk_norm_rope(at::randn({4, 9}), 1, {}, {}, at::ones({4, 1}), at::ones({4, 1})),
               c10::Error);  // an odd head cannot be rotated
}

}  // namespace
}  // namespace i1
