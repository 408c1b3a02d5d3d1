// The fused passes against their plain twins, forward and backward: one test runs them all over the
// same edges.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "i1/kernels/qk_norm_rope.h"
#include "i1/kernels/rms_norm.h"
#include "i1/kernels/swiglu.h"

namespace i1 {
namespace {

using Tensors = std::vector<at::Tensor>;

// An operation on some inputs; those of index >= num_wide keep float32 in bfloat16 runs (scales,
// angles).
struct Operation {
  std::string name;
  Tensors inputs;
  size_t num_wide;
  size_t num_differentiable;
  std::function<Tensors(const Tensors&)> fast, plain;
};

std::vector<Operation> operations() {
  std::vector<Operation> all;
  for (const int64_t D : {1, 3, 15, 16, 17, 72, 288, 2016}) {
    for (const int64_t rows : {1, 33}) {
      const std::string size = std::to_string(rows) + "x" + std::to_string(D);
      all.push_back({"rms_norm " + size,
                     {at::randn({rows, D}), at::rand({D}) + 0.5},
                     1,
                     2,
                     [](const Tensors& x) { return Tensors{rms_norm(x[0], x[1])}; },
                     [](const Tensors& x) { return Tensors{reference::rms_norm(x[0], x[1])}; }});
      all.push_back(
          {"add_rms_norm " + size,
           {at::randn({rows, D}), at::randn({rows, D}), at::rand({D}) + 0.5},
           2,
           3,
           [](const Tensors& x) { return Tensors{add_rms_norm(x[0], x[1], x[2])}; },
           [](const Tensors& x) { return Tensors{reference::add_rms_norm(x[0], x[1], x[2])}; }});
      all.push_back({"swiglu " + size,
                     {at::randn({rows, 2 * D}) * 4},
                     1,
                     1,
                     [](const Tensors& x) { return Tensors{swiglu(x[0])}; },
                     [](const Tensors& x) { return Tensors{reference::swiglu(x[0])}; }});
    }
  }
  const auto as_list = [](const Qkv& heads) { return Tensors{heads.q, heads.k, heads.v}; };
  for (const int64_t E : {2, 10, 18, 64, 72}) {
    for (const int64_t rows : {1, 17, 40}) {
      const int64_t H = 3;
      const at::Tensor angles = at::rand({rows, E / 2}) * 6;
      all.push_back(
          {"qk_norm_rope " + std::to_string(rows) + "x" + std::to_string(E),
           {at::randn({rows, 3 * H * E}), at::rand({E}) + 0.5, at::rand({E}) + 0.5, at::cos(angles),
            at::sin(angles)},
           1,
           3,
           [=](const Tensors& x) { return as_list(qk_norm_rope(x[0], H, x[1], x[2], x[3], x[4])); },
           [=](const Tensors& x) {
             return as_list(reference::qk_norm_rope(x[0], H, x[1], x[2], x[3], x[4]));
           }});
    }
  }
  all.push_back({"qk_norm_rope without norm and rotation",
                 {at::randn({5, 3 * 2 * 8})},
                 1,
                 1,
                 [=](const Tensors& x) { return as_list(qk_norm_rope(x[0], 2, {}, {}, {}, {})); },
                 [=](const Tensors& x) {
                   return as_list(reference::qk_norm_rope(x[0], 2, {}, {}, {}, {}));
                 }});
  return all;
}

// Outputs, then gradients under a fixed random probe.
Tensors run(const std::function<Tensors(const Tensors&)>& operation, const Operation& op,
            at::ScalarType wide, at::ScalarType narrow, const Tensors& probes) {
  Tensors leaves;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    leaves.push_back(op.inputs[i].to(i < op.num_wide ? wide : narrow).detach());
    leaves.back().set_requires_grad(i < op.num_differentiable);
  }
  Tensors results = operation(leaves);
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (size_t i = 0; i < results.size(); ++i)
    sum = sum + (results[i].to(at::kDouble) * probes[i]).sum();
  const Tensors differentiable(leaves.begin(),
                               leaves.begin() + static_cast<int64_t>(op.num_differentiable));
  for (const at::Tensor& gradient : torch::autograd::grad({sum}, differentiable))
    results.push_back(gradient);
  return results;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>();
}

Tensors probes_for(const Operation& op) {
  Tensors probes;
  for (const at::Tensor& out : op.plain(op.inputs)) probes.push_back(at::randn(out.sizes()));
  return probes;
}

TEST(FusedPasses, Float32EqualsTheTwinsForwardAndBackward) {
  for (const Operation& op : operations()) {
    const Tensors probes = probes_for(op);
    const Tensors fast = run(op.fast, op, at::kFloat, at::kFloat, probes);
    const Tensors exact = run(op.plain, op, at::kDouble, at::kDouble, probes);
    double probe_norm = 0;
    for (const at::Tensor& probe : probes) probe_norm += probe.norm().item<double>();
    for (size_t i = 0; i < fast.size(); ++i) {
      // Sums of up to a few thousand rounded products; gradients may cancel, so the probe's size
      // enters.
      const double bound = 64 * 1.2e-7 * (exact[i].norm().item<double>() + probe_norm);
      EXPECT_LE(distance(fast[i], exact[i]), bound) << op.name << ", result " << i;
    }
  }
}

TEST(FusedPasses, Bfloat16IsAsGoodAsThePlainOperations) {
  for (Operation op : operations()) {
    for (size_t i = 0; i < op.num_wide; ++i)
      op.inputs[i] = op.inputs[i].to(at::kBFloat16).to(at::kFloat);
    Tensors probes = probes_for(op);  // what is exact must not see finer ones
    for (at::Tensor& probe : probes) probe = probe.to(at::kBFloat16).to(at::kFloat);
    const Tensors fast = run(op.fast, op, at::kBFloat16, at::kFloat, probes);
    const Tensors plain = run(op.plain, op, at::kBFloat16, at::kFloat, probes);
    const Tensors exact = run(op.plain, op, at::kDouble, at::kDouble, probes);
    for (size_t i = 0; i < fast.size(); ++i) {
      const double allowed = i < probes.size() ? 2 : 3,
                   floor = 1e-3 * exact[i].norm().item<double>() + 1e-4;
      EXPECT_LE(distance(fast[i], exact[i]), allowed * distance(plain[i], exact[i]) + floor)
          << op.name << ", result " << i;
    }
  }
}

TEST(FusedPasses, RefuseShapesThatDoNotFit) {
  EXPECT_THROW(rms_norm(at::randn({2, 4}), at::randn({3})), c10::Error);
  EXPECT_THROW(swiglu(at::randn({2, 3})), c10::Error);
  EXPECT_THROW(qk_norm_rope(at::randn({2, 10}), 2, {}, {}, {}, {}), c10::Error);
}

}  // namespace
}  // namespace i1
