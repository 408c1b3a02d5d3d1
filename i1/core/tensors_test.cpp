// What walks, checks and describes tensors: field lists, values that are not finite, dtypes, values
// loaded when used.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <cpuinfo.h>
#include <gtest/gtest.h>

#include <limits>

#include "i1/core/compute_dtype.h"
#include "i1/core/fields.h"
#include "i1/core/finite.h"
#include "i1/core/lazy.h"
#include "i1/core/testing.h"

namespace i1 {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Layer {
  at::Tensor weight = at::ones({2}), bias;
  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
};

struct Net {
  std::vector<Layer> blocks{2};
  std::optional<Layer> skip;
  Layer head;
  static void fields(auto& self, auto&& visit) {
    visit("blocks", self.blocks);
    visit("skip", self.skip);
    visit("", self.head);  // without a name of its own
  }
};

std::vector<std::string> keys_of(Net& net, const std::string& prefix = "") {
  std::vector<std::string> keys;
  for_each_tensor(net, prefix, [&](const std::string& key, at::Tensor&) { keys.push_back(key); });
  return keys;
}

TEST(Fields, TheirNamesAreTheKeysOfTheCheckpoint) {
  Net net;
  EXPECT_EQ(keys_of(net),
            (std::vector<std::string>{"blocks.0.weight", "blocks.0.bias", "blocks.1.weight",
                                      "blocks.1.bias", "weight", "bias"}));
  net.skip.emplace();
  net.blocks.clear();
  EXPECT_EQ(keys_of(net, "ema"), (std::vector<std::string>{"ema.skip.weight", "ema.skip.bias",
                                                           "ema.weight", "ema.bias"}));
}

TEST(Fields, TwoOfAKindAreWalkedSideBySide) {
  Net weights, averages;
  averages.blocks[1].weight = at::full({2}, 5);
  std::vector<std::string> different;
  for_each_tensor_pair(weights, averages,
                       [&](const std::string& key, at::Tensor& a, at::Tensor& b) {
                         if (a.defined() && !a.equal(b)) different.push_back(key);
                       });
  EXPECT_EQ(different, std::vector<std::string>{"blocks.1.weight"});

  Net shorter;
  shorter.blocks.pop_back();
  EXPECT_THROW(for_each_tensor_pair(weights, shorter, [](auto&&...) {}), std::out_of_range);
}

TEST(Finite, CountsInfinitiesAndNans) {
  at::Tensor values = at::zeros({3, 4});
  EXPECT_EQ(count_not_finite(values), 0);
  values[0][0] = kInfinity;
  values[1][2] = -kInfinity;
  values[2][3] = kNan;
  EXPECT_EQ(count_not_finite(values), 3);
  EXPECT_EQ(count_not_finite(values.to(at::kBFloat16)), 3);
  EXPECT_EQ(count_not_finite(values.t()), 3);
  EXPECT_EQ(count_not_finite(at::full({2}, 1e39, at::kDouble)), 0);
  EXPECT_EQ(count_not_finite(at::Tensor()), 0);
  EXPECT_EQ(count_not_finite(at::arange(3, at::kLong)), 0);
}

TEST(Finite, TheFirstOfSeveralIsKept) {
  FirstNotFinite first;
  first.see("good", at::ones({2}));
  EXPECT_FALSE(first.is_found());
  at::Tensor bad = at::ones({2, 3});
  bad[1][1] = kNan;
  first.see("bad", bad);
  first.see("worse", at::full({9}, kNan));
  EXPECT_EQ(first.text(), "bad (1 of 6 values)");
}

TEST(Finite, WeightsAreSeenInTheOrderOfTheirFields) {
  Net net;
  EXPECT_FALSE(first_weight_not_finite(net).is_found());
  net.blocks[1].bias = at::full({1}, kInfinity);
  net.head.weight = at::full({2}, kNan);
  EXPECT_EQ(first_weight_not_finite(net).name, "blocks.1.bias");
  const auto is_block = [](const std::string& key) { return key.starts_with("blocks."); };
  EXPECT_EQ(first_weight_not_finite(net, is_block).name, "weight");
}

TEST(ComputeDtype, IsWhatIsAskedOrWhatTheMachineMultiplies) {
  std::string why;
  EXPECT_EQ(choose_compute_dtype("float32", at::kCPU, why), at::kFloat);
  EXPECT_EQ(why, "as asked");
  EXPECT_EQ(choose_compute_dtype("bfloat16", at::kCPU, why), at::kBFloat16);
  EXPECT_EQ(choose_compute_dtype("auto", at::kCUDA, why), at::kBFloat16);
  ASSERT_TRUE(cpuinfo_initialize());
  const at::ScalarType native = cpuinfo_has_x86_avx512bf16() ? at::kBFloat16 : at::kFloat;
  EXPECT_EQ(choose_compute_dtype("auto", at::kCPU, why), native);
  EXPECT_EQ(choose_compute_dtype("", at::kCPU, why), native);
  EXPECT_NE(why.find("the CPU"), std::string::npos) << why;
  expect_error("\"float16\": expected float32, bfloat16 or auto",
               [&] { choose_compute_dtype("float16", at::kCPU, why); });
}

TEST(ComputeDtype, Int8IsAPrecisionAndNoDtype) {
  std::string why;
  const Precision int8 = choose_precision("int8", at::kCUDA, why);
  EXPECT_TRUE(int8.has_int8_weights);
  EXPECT_EQ(int8.dtype, at::kBFloat16);
  EXPECT_EQ(int8.name(), "int8");
  EXPECT_EQ(why, "as asked; the rest in bfloat16");
  EXPECT_EQ(choose_precision("float32", at::kCPU, why).name(), "float32");
  EXPECT_EQ(choose_precision("bfloat16", at::kCPU, why).name(), "bfloat16");
  expect_error("for pictures also int8", [&] { choose_compute_dtype("int8", at::kCPU, why); });
}

TEST(Lazy, LoadsWhenUsedAndAgainAfterItWasLetGo) {
  int loads = 0;
  const Lazy<std::string> text(std::function<std::string()>([&] {
    ++loads;
    return std::string("loaded");
  }));
  EXPECT_FALSE(text.is_loaded());
  EXPECT_EQ(text->size(), 6u);
  EXPECT_EQ(text.get(), "loaded");
  EXPECT_EQ(loads, 1);
  text.release();
  EXPECT_FALSE(text.is_loaded());
  EXPECT_EQ(text.get(), "loaded");
  EXPECT_EQ(loads, 2);
}

TEST(Lazy, AGivenValueStaysAndAFailedLoadIsTriedAgain) {
  const Lazy<int> given(3);
  given.release();
  EXPECT_EQ(given.get(), 3);

  bool is_there = false;
  const Lazy<int> late(std::function<int()>([&] {
    check_user(is_there, "no such file");
    return 4;
  }));
  expect_error("no such file", [&] { late.get(); });
  is_there = true;
  EXPECT_EQ(late.get(), 4);
}

}  // namespace
}  // namespace i1
