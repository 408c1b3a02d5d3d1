#include "i1/io/pytorch.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/io/zip_testing.h"

namespace i1 {
namespace {

using Storages = std::vector<std::pair<std::string, std::string>>;

const Storages kTen = {{"0", bytes_of<float>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9})}};

PyTorchFile parse(const std::string& bytes) {
  return parse_pytorch(std::make_shared<const ZipArchive>(hold_bytes(bytes, "test.pt")));
}

std::string message_of(const std::string& bytes) {
  try {
    for (const auto& [name, tensor] : parse(bytes).tensors) tensor.read();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

void expect_message(const std::string& bytes, const std::string& expected) {
  const std::string message = message_of(bytes);
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

std::string one_tensor(int32_t num_values, int32_t offset, const std::vector<int32_t>& shape,
                       const std::vector<int32_t>& strides,
                       const std::string& storage_class = "FloatStorage") {
  return make_pt(
      pickled_dict({{"x", pickled_tensor(storage_class, "0", num_values, offset, shape, strides)}}),
      kTen);
}

TEST(PyTorch, NestedDictionariesBecomeNamesAndValues) {
  const PyTorchFile file = parse(make_pt(
      pickled_dict({{"config", pickled_dict({{"depth", pickled_int(3)},
                                             {"ratio", std::string("G?\xf8\0\0\0\0\0\0", 9)},
                                             {"name", pickled_text("tiny")},
                                             {"axes", pickled_ints({4, 2, 2})},
                                             {"none", "N"}})},
                    {"model", pickled_dict({{"a.weight", pickled_tensor("FloatStorage", "0", 10, 0,
                                                                        {2, 5}, {5, 1})}})},
                    {"train_state", pickled_dict({{"step", "\x8a\x02\x10\x27"}})}}),
      kTen));
  ASSERT_EQ(file.tensors.size(), 1u);
  const at::Tensor tensor = file.tensors.at("model.a.weight").read();
  EXPECT_EQ(tensor.sizes(), at::IntArrayRef({2, 5}));
  EXPECT_EQ(tensor[1][4].item<float>(), 9);
  EXPECT_EQ(file.values,
            nlohmann::json::parse(R"({"config": {"depth": 3, "ratio": 1.5, "name": "tiny",
      "axes": [4, 2, 2], "none": null}, "train_state": {"step": 10000}})"));
}

TEST(PyTorch, ViewsHaveTheirOffsetsAndStridesAndShareMemory) {
  const PyTorchFile file = parse(make_pt(
      pickled_dict({{"all", pickled_tensor("FloatStorage", "0", 10, 0, {10}, {1})},
                    {"transposed", pickled_tensor("FloatStorage", "0", 10, 1, {3, 2}, {1, 3})},
                    {"repeated", pickled_tensor("FloatStorage", "0", 10, 9, {4}, {0})},
                    {"scalar", pickled_tensor("FloatStorage", "0", 10, 7, {}, {})},
                    {"empty", pickled_tensor("FloatStorage", "0", 10, 10, {0, 3}, {3, 1})}}),
      kTen));
  const auto read = [&](const char* name) { return file.tensors.at(name).read(); };
  EXPECT_TRUE(
      at::equal(read("transposed"), at::tensor({1.f, 4.f, 2.f, 5.f, 3.f, 6.f}).view({3, 2})));
  EXPECT_TRUE(at::equal(read("repeated"), at::tensor({9.f, 9.f, 9.f, 9.f})));
  EXPECT_EQ(read("scalar").item<float>(), 7);
  EXPECT_EQ(read("empty").sizes(), at::IntArrayRef({0, 3}));
}

TEST(PyTorch, EveryStorageTypeIsRead) {
  const std::vector<std::tuple<std::string, at::ScalarType, std::string>> cases = {
      {"DoubleStorage", at::kDouble, bytes_of<double>({1})},
      {"HalfStorage", at::kHalf, bytes_of<uint16_t>({0x3c00})},
      {"BFloat16Storage", at::kBFloat16, bytes_of<uint16_t>({0x3f80})},
      {"LongStorage", at::kLong, bytes_of<int64_t>({1})},
      {"IntStorage", at::kInt, bytes_of<int32_t>({1})},
      {"ShortStorage", at::kShort, bytes_of<int16_t>({1})},
      {"CharStorage", at::kChar, "\x01"},
      {"ByteStorage", at::kByte, "\x01"},
      {"BoolStorage", at::kBool, "\x01"}};
  for (const auto& [name, dtype, bytes] : cases) {
    const PyTorchFile file = parse(
        make_pt(pickled_dict({{"x", pickled_tensor(name, "0", 1, 0, {1}, {1})}}), {{"0", bytes}}));
    const at::Tensor tensor = file.tensors.at("x").read();
    EXPECT_EQ(tensor.scalar_type(), dtype) << name;
    EXPECT_EQ(tensor.item<double>(), 1) << name;
  }
}

TEST(PyTorch, StateDictsParametersAndNamespacesAreRead) {
  const std::string tensor = pickled_tensor("FloatStorage", "0", 10, 0, {10}, {1});
  const std::string parameter = "ctorch._utils\n_rebuild_parameter\n" +
                                pickled_tuple({tensor, "\x88", "ccollections\nOrderedDict\n)R"}) +
                                "R";
  // An OrderedDict with attributes: state_dict() keeps version numbers there.
  const std::string state = "ccollections\nOrderedDict\n)R(" + pickled_text("w") + parameter + "u" +
                            pickled_dict({{"_metadata", pickled_dict({})}}) + "b";
  const std::string arguments =
      "cargparse\nNamespace\n)\x81" + pickled_dict({{"batch", pickled_int(64)}}) + "b";
  const PyTorchFile file =
      parse(make_pt(pickled_dict({{"model", state}, {"args", arguments}}), kTen));
  EXPECT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors.at("model.w").read().numel(), 10);
  EXPECT_EQ(file.values.dump(), R"({"args":{"batch":64}})");
}

TEST(PyTorch, StoragesNobodyAsksForAreNotTouched) {
  std::string bytes =
      make_pt(pickled_dict({{"good", pickled_tensor("FloatStorage", "0", 10, 0, {10}, {1})},
                            {"other", pickled_tensor("FloatStorage", "1", 10, 0, {10}, {1})}}),
              {kTen[0], {"1", kTen[0].second}});
  bytes[bytes.find("archive/data/1") - 30] = 'x';  // its local header
  const PyTorchFile file = parse(bytes);
  EXPECT_EQ(file.tensors.at("good").read().numel(), 10);
  EXPECT_THROW(file.tensors.at("other").read(), UserError);
}

TEST(PyTorch, CodeIsRefusedByName) {
  expect_message(make_pt("cos\nsystem\n(" + pickled_text("true") + "tR"), "\"os.system\"");
  expect_message(make_pt("cbuiltins\neval\n(" + pickled_text("1") + "tR"), "\"builtins.eval\"");
  expect_message(make_pt(pickled_text("posix") + pickled_text("system") + "\x93)R"),
                 "\"posix.system\"");
  expect_message(make_pt("ctorch\nload\n)R"), "\"torch.load\"");
}

TEST(PyTorch, TensorsThatLeaveTheirStorageAreRefused) {
  EXPECT_EQ(message_of(one_tensor(10, 0, {10}, {1})), "no error");
  expect_message(one_tensor(10, 0, {11}, {1}), "leave its storage");
  expect_message(one_tensor(10, 1, {10}, {1}), "leave its storage");
  expect_message(one_tensor(10, 10, {}, {}), "leave its storage");
  expect_message(one_tensor(10, 0, {2, 2}, {9, 2}), "leave its storage");
  expect_message(one_tensor(10, 0, {2}, {2000000000}), "leave its storage");
  expect_message(one_tensor(10, 2000000000, {1}, {1}), "leave its storage");
  expect_message(one_tensor(10, 9, {2}, {-1}), "non-negative");
  expect_message(one_tensor(10, -1, {2}, {1}), "offset");
  expect_message(one_tensor(10, 0, {-1}, {1}), "non-negative");
  expect_message(one_tensor(10, 0, {2, 2}, {1}), "number of strides");
  expect_message(one_tensor(10, 0, {2000000000, 2000000000, 2000000000}, {0, 0, 0}), "overflows");
  expect_message(one_tensor(9, 0, {9}, {1}), "has 40 bytes, expected 9 values");
  expect_message(one_tensor(10, 0, {5}, {1}, "DoubleStorage"), "has 40 bytes");
  expect_message(one_tensor(10, 0, {5}, {1}, "Tensor"), "refused");
  expect_message(
      make_pt(pickled_dict({{"x", pickled_tensor("FloatStorage", "7", 10, 0, {1}, {1})}}), kTen),
      "data/7\" is missing");
}

TEST(PyTorch, DamagedPicklesAreRefused) {
  expect_message(make_pt(""), "nothing on its stack");
  expect_message(make_pt("}}u"), "no mark");
  expect_message(make_pt("(tu"), "no mark");
  expect_message(make_pt("](K\x01s"), "nothing on its stack");
  expect_message(make_pt("h\x07"), "not stored");
  expect_message(make_pt("}(K\x01u"), "key without a value");
  expect_message(make_pt("X\xff\xff\xff\xff"), "ends early");
  expect_message(make_pt("Q"), "nothing on its stack");
  expect_message(make_pt("\x8a\x09"
                         "123456789"),
                 "more than 64 bits");
  expect_message(make_pt("I12\n"), "opcode 73");
  expect_message(make_pt("K\x01K\x02R"), "call of what is no name");
  expect_message(make_pt("ctorch\nFloatStorage\n)R"), "unexpected arguments");
  std::string no_utf8 = "X";
  append_bytes<uint32_t>(no_utf8, 1);
  expect_message(make_pt(pickled_dict({{"a", no_utf8 + "\xff"}})), "not UTF-8");
  expect_message(make_pt("}(K\x01K\x02]K\x03u"), "texts nor integers");
}

TEST(PyTorch, CirclesAndTowersOfListsAreRefused) {
  expect_message(make_pt("]q\x01h\x01"
                         "a"),
                 "nested deeper");
  std::string tower = "]q\x01";
  for (char level = 1; level < 30; ++level) {  // each list holds the one before twice
    tower += std::string("](h") + level + "h" + level + "eq" + static_cast<char>(level + 1);
  }
  expect_message(make_pt(tower), "more than 500000 objects");
}

TEST(PyTorch, OtherArchivesAreRefused) {
  expect_message(make_zip({{"a.npy", "x"}}), "not a PyTorch file");
  expect_message(make_pt("}", {}, "big"), "big-endian");
}

TEST(PyTorch, EveryTruncatedPickleIsRefused) {
  const std::string pickle =
      "\x80\x02" + pickled_dict({{"x", pickled_tensor("FloatStorage", "0", 10, 0, {10}, {1})}});
  for (size_t size = 0; size < pickle.size(); ++size) {
    const std::string bytes = make_zip({{"archive/data.pkl", pickle.substr(0, size)}});
    EXPECT_NE(message_of(bytes), "no error") << size;
  }
}

}  // namespace
}  // namespace i1
