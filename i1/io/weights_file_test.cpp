#include "i1/io/weights_file.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "i1/core/testing.h"
#include "i1/io/safetensors.h"
#include "i1/io/zip_testing.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

class WeightsFileTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  void expect_message(const fs::path& path, const std::string& expected) {
    try {
      open_weights(path);
      ADD_FAILURE() << "accepted, expected: " << expected;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }

  void expect_tensors(const fs::path& path) {
    const TensorMap found = read_tensors(open_weights(path));
    ASSERT_EQ(found.size(), tensors_.size());
    for (const auto& [name, tensor] : tensors_) EXPECT_TRUE(at::equal(found.at(name), tensor));
  }

  fs::path folder_ = fresh_folder("weights_file");
  TensorMap tensors_ = {
      {"model.a", at::randn({100})}, {"model.b", at::randn({10, 10})}, {"other", at::randn({100})}};
};

TEST_F(WeightsFileTest, TheContentDecidesNotTheName) {
  write_file_atomically(folder_ / "checkpoint.npz-000000012",
                        make_zip({{"p/x.npy", make_npy("<f4", "(1,)", bytes_of<float>({2}))}}));
  write_file_atomically(
      folder_ / "weights.safetensors",
      make_pt(pickled_dict({{"x", pickled_tensor("FloatStorage", "0", 1, 0, {1}, {1})},
                            {"step", pickled_int(7)}}),
              {{"0", bytes_of<float>({3})}}));
  write_safetensors(folder_ / "model.pt", tensors_, {{"key", "value"}});
  EXPECT_EQ(
      read_tensors(open_weights(folder_ / "checkpoint.npz-000000012")).at("p/x").item<float>(), 2);
  const WeightsFile pytorch = open_weights(folder_ / "weights.safetensors");
  EXPECT_EQ(pytorch.format, "PyTorch");
  EXPECT_EQ(pytorch.values["step"], 7);
  EXPECT_EQ(read_tensors(pytorch).at("x").item<float>(), 3);
  EXPECT_EQ(open_weights(folder_ / "model.pt").values["key"], "value");
  expect_tensors(folder_ / "model.pt");
}

TEST_F(WeightsFileTest, FoldersWithOneFileOrShardsAreRead) {
  for (const char* stem : {"model", "diffusion_pytorch_model"}) {
    for (const int64_t limit : {1 << 20, 500, 1}) {
      SetUp();
      write_sharded_safetensors(folder_, stem, tensors_, limit);
      expect_tensors(folder_);
      const fs::path index = folder_ / (std::string(stem) + ".safetensors.index.json");
      if (!fs::exists(index)) continue;
      expect_tensors(index);
      fs::remove(index);  // the names of shards say how many there are
      expect_tensors(folder_);
    }
  }
}

TEST_F(WeightsFileTest, TensorsAreChosenByNameAndPrefix) {
  write_sharded_safetensors(folder_, "model", tensors_, 1);
  fs::remove(folder_ / "model-00003-of-00003.safetensors");
  const auto wants = [](const std::string& name) { return name.starts_with("model."); };
  const TensorMap found = read_tensors(open_weights(folder_, wants), "model.");
  EXPECT_EQ(found.size(), 2u);
  EXPECT_TRUE(at::equal(found.at("b"), tensors_.at("model.b")));
}

TEST_F(WeightsFileTest, IncompleteFoldersAreRefused) {
  expect_message(folder_, "no weights in this folder");
  write_sharded_safetensors(folder_, "model", tensors_, 1);
  fs::remove(folder_ / "model-00002-of-00003.safetensors");
  expect_message(folder_, "model-00002-of-00003.safetensors: cannot be opened");
  fs::remove(folder_ / "model.safetensors.index.json");
  expect_message(folder_, "2 shards model-*.safetensors, expected 3");
}

TEST_F(WeightsFileTest, DamagedIndicesAreRefused) {
  write_sharded_safetensors(folder_, "model", tensors_, 1);
  const fs::path index = folder_ / "model.safetensors.index.json";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no object \"weight_map\""},
      {"[]", "no object \"weight_map\""},
      {R"({"weight_map": 3})", "no object \"weight_map\""},
      {R"({"weight_map": {"a": 3}})", "the file of \"a\" is 3"},
      {R"({"weight_map": {"a": "../../etc/passwd"}})", "expected a name in its own folder"},
      {R"({"weight_map": {"a": ""}})", "expected a name in its own folder"},
      {R"({"weight_map": {"a": "model-00001-of-00003.safetensors"}})", "no tensor \"a\""}};
  for (const auto& [text, expected] : cases) {
    write_file_atomically(index, text);
    expect_message(folder_, expected);
  }
}

TEST_F(WeightsFileTest, WhatHoldsNoWeightsIsRefused) {
  const fs::path file = folder_ / "file";
  expect_message(file, "cannot be opened");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "too short"},
      {std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", 15), "before version 1.6"},
      {"PK\x03\x04 and no more", "too short for a zip archive"},
      {std::string(100, 'x'), "not a safetensors file"},
      {make_zip({{"readme.txt", "hello"}}), "not an .npz archive"}};
  for (const auto& [bytes, expected] : cases) {
    write_file_atomically(file, bytes);
    expect_message(file, expected);
  }
}

}  // namespace
}  // namespace i1
