#include "i1/io/safetensors.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "i1/core/testing.h"

namespace i1 {
namespace {

std::string file_with_header(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header +
         std::string(data_bytes, '\0');
}

TEST(Safetensors, GivesBackWhatWasWritten) {
  const TensorMap tensors = {{"a", at::randn({3, 5})},
                             {"b", at::randn({2, 2}).to(at::kBFloat16)},
                             {"transposed", at::randn({4, 7}).t()},
                             {"empty", at::ones({0, 3})},
                             {"scalar", at::ones({}, at::kLong)}};
  const auto file = fresh_folder("round") / "file";
  write_safetensors(file, tensors, {{"key", "value"}});
  const SafetensorsFile read = read_safetensors(file);
  EXPECT_EQ(read.metadata, (Metadata{{"key", "value"}}));
  ASSERT_EQ(read.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(read.tensors.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(read.tensors.at(name), tensor)) << name;
  }
}

TEST(Safetensors, RefusesDamagedFilesAndSaysWhy) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "too short"},
      {std::string(7, 'x'), "too short"},
      {std::string(8, '\xff'), "not a safetensors file"},
      {file_with_header("[1]", 0), "not a JSON object"},
      {file_with_header(good, 4), "leave the file"},
      {file_with_header(good, 9), "after the last tensor"},
      {file_with_header(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
       "needs 12"},
      {file_with_header(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
       "non-negative"},
      {file_with_header(R"({"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", 8),
       "unknown dtype"},
      {file_with_header(
           R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", 8),
       "overflows"},
      {file_with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
       "expected 0"},
      {file_with_header(R"({"a":3})", 0), "lacks dtype"}};
  const auto file = fresh_folder("bad") / "file";
  for (const auto& [bytes, expected] : cases) {
    write_file_atomically(file, bytes);
    try {
      read_safetensors(file);
      ADD_FAILURE() << "accepted: " << expected;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

TEST(Safetensors, ShardsAreIndexedAndOldFilesRemoved) {
  const std::filesystem::path folder = fresh_folder("shards");
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  TensorMap tensors;
  for (const char* name : {"a", "b", "c", "d"}) tensors[name] = at::randn({100});
  tensors["e"] = at::randn({1000});
  const auto files = [&] {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  };
  using Names = std::vector<std::string>;
  write_sharded_safetensors(folder, "model", tensors, 1'000'000);
  EXPECT_EQ(files(), Names({"model.safetensors"}));
  write_sharded_safetensors(folder, "model", tensors, 900);
  EXPECT_EQ(files(), Names({"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                            "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
  EXPECT_EQ(read_safetensors(folder / "model-00002-of-00003.safetensors").tensors.size(), 2u);
  const auto index = nlohmann::json::parse(read_file(folder / "model.safetensors.index.json"));
  EXPECT_EQ(index["weight_map"]["e"], "model-00003-of-00003.safetensors");
  EXPECT_EQ(index["metadata"]["total_size"], 5600);
}

TEST(Safetensors, RefusesWhatIsNoFile) {
  EXPECT_THROW(read_safetensors(fresh_folder("missing") / "file"), UserError);
  EXPECT_THROW(read_safetensors(testing::TempDir()), UserError);
}

}  // namespace
}  // namespace i1
