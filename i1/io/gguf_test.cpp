#include "i1/io/gguf.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cstring>

#include "i1/core/testing.h"
#include "i1/io/block_formats.h"
#include "i1/io/safetensors.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = "tests/gguf";

TEST(Gguf, AFileOfThePackageGivesWhatThePackageReads) {
  const GgufFile file = parse_gguf(map_file(kGolden / "package.gguf"));
  const TensorMap expected = read_safetensors(kGolden / "expected.safetensors").tensors;
  EXPECT_EQ(file.tensors.size() + 1, expected.size());
  for (const auto& [name, tensor] : file.tensors) {
    const at::Tensor values = tensor.read();
    EXPECT_EQ(values.scalar_type(), tensor.info.dtype) << name;
    EXPECT_TRUE(at::equal(values.to(at::kFloat), expected.at(name))) << name;
  }
  EXPECT_EQ(file.tensors.at("BF16").info.dtype, at::kBFloat16);
  EXPECT_EQ(file.tensors.at("Q4_0").encoding, "Q4_0");
  EXPECT_EQ(stored_bytes(file.tensors.at("Q4_0"), "here"), 6u * 18);
  EXPECT_EQ(file.values["general.architecture"], "i1");
  EXPECT_EQ(file.values["golden.uint64"], uint64_t{1} << 40);
  EXPECT_EQ(file.values["golden.int32"], -7);
  EXPECT_EQ(file.values["golden.float64"], 0.1);
  EXPECT_EQ(file.values["golden.bool"], true);
  EXPECT_EQ(file.values["golden.array"], nlohmann::json({3, 1, 2}));
  EXPECT_EQ(file.values["golden.words"][1], "\xc3\xa9");
  EXPECT_EQ(file.values["golden.text"], "two\nlines");
}

TEST(Gguf, BlocksAreThoseOfThePackageByteByByte) {
  const FileBytes bytes = map_file(kGolden / "package.gguf");
  const at::Tensor source = read_safetensors(kGolden / "expected.safetensors").tensors.at("source");
  const std::string_view all(reinterpret_cast<const char*>(bytes.bytes.data()), bytes.bytes.size());
  for (const char* encoding : {"Q8_0", "Q4_0"}) {
    std::string blocks(static_cast<size_t>(source.numel() / kBlockValues * block_bytes(encoding)),
                       '\0');
    const at::Tensor values = source.contiguous();
    encode_blocks(encoding, {values.const_data_ptr<float>(), static_cast<size_t>(values.numel())},
                  std::as_writable_bytes(std::span(blocks)));
    EXPECT_NE(all.find(blocks), std::string_view::npos) << encoding;
  }
}

TEST(Gguf, GivesBackWhatWasWritten) {
  const TensorMap tensors = {{"a", at::randn({3, 5})},
                             {"b", at::randn({2, 2}).to(at::kBFloat16)},
                             {"c", at::randn({7, 2, 3, 3}).to(at::kHalf)},
                             {"empty", at::ones({0, 3})},
                             {"transposed", at::randn({4, 7}).t()}};
  const fs::path path = fresh_folder("gguf") / "file";
  uint64_t num_bytes = 0;
  write_gguf(path, as_stored(tensors), {{"key", "value"}, {"count", 3}, {"ratio", 0.5}},
             [&](uint64_t bytes) { num_bytes += bytes; });
  EXPECT_EQ(num_bytes, 60u + 8 + 252 + 0 + 112);
  const GgufFile file = parse_gguf(map_file(path));
  EXPECT_EQ(file.values, nlohmann::json({{"key", "value"}, {"count", 3}, {"ratio", 0.5}}));
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors)
    EXPECT_TRUE(at::equal(file.tensors.at(name).read(), tensor)) << name;
}

TEST(Gguf, BlocksStayWithinHalfAStep) {
  const at::Tensor values = at::randn({5, 96});
  const at::Tensor largest = values.view({5, 3, 32}).abs().amax(2, true);
  for (const auto& [encoding, steps] : {std::pair("Q8_0", 127.0), {"Q4_0", 8.0}}) {
    StoredTensors tensors;
    tensors["w"] = as_blocks(as_stored({{"w", values}}).at("w"), encoding);
    const fs::path path = fresh_folder("blocks") / "file";
    write_gguf(path, tensors, {});
    const at::Tensor found = parse_gguf(map_file(path)).tensors.at("w").read();
    const at::Tensor error = ((found - values).view({5, 3, 32}).abs() / largest).max();
    // Half a step (a whole one at the far end of Q4_0, which has 7 steps there and 8 here), and
    // float16's rounding of the scale: 2^-11.
    const double half = steps == 8 ? 1.0 : 0.5;
    EXPECT_LE(error.item<double>(), half / steps + 1.0 / 2048 + 1e-6) << encoding;
  }
}

TEST(Gguf, RefusesWhatTheFormatCannotHold) {
  const fs::path path = fresh_folder("cannot") / "file";
  const auto refuses = [&](const std::string& expected, const std::string& name,
                           const at::Tensor& tensor) {
    expect_error(expected, [&] { write_gguf(path, as_stored({{name, tensor}}), {}); });
    EXPECT_FALSE(fs::exists(path));
  };
  refuses("does not fit in GGUF", std::string(64, 'n'), at::ones({1}));
  refuses("does not fit in GGUF", "five", at::ones({1, 1, 1, 1, 1}));
  refuses("which GGUF does not hold", "bytes", at::ones({1}, at::kByte));
}

// A header piece by piece.
template <class T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
std::string raw_text(const std::string& text) { return raw<uint64_t>(text.size()) + text; }
std::string raw_tensor(const std::string& name, std::vector<uint64_t> sizes, uint32_t type,
                       uint64_t offset) {
  std::string bytes = raw_text(name) + raw(static_cast<uint32_t>(sizes.size()));
  for (const uint64_t size : sizes) bytes += raw(size);
  return bytes + raw(type) + raw(offset);
}
std::string raw_file(const std::string& keys, uint64_t num_keys, const std::string& tensors,
                     uint64_t num_tensors, size_t data_bytes = 64, uint32_t version = 3) {
  std::string bytes = "GGUF" + raw(version) + raw(num_tensors) + raw(num_keys) + keys + tensors;
  bytes.resize((bytes.size() + 31) / 32 * 32 + data_bytes);
  return bytes;
}

TEST(Gguf, RefusesDamagedFilesAndSaysWhy) {
  const auto one = [](std::vector<uint64_t> sizes, uint32_t type, uint64_t offset = 0) {
    return raw_file("", 0, raw_tensor("w", std::move(sizes), type, offset), 1);
  };
  const auto key = [](uint32_t type, const std::string& value, const std::string& name = "k") {
    return raw_file(raw_text(name) + raw(type) + value, 1, "", 0);
  };
  std::string nested;
  for (int i = 0; i < 6; ++i) nested += raw<uint32_t>(9) + raw<uint64_t>(1);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"GGU", "not a GGUF file"},
      {"GGUF", "ends inside its header, at its version"},
      {raw_file("", 0, "", 0, 0, 1), "GGUF version 1, expected 2 or 3"},
      {raw_file("", 0, "", 0, 0, 0x03000000), "big-endian"},
      {raw_file("", 0, "", uint64_t{1} << 60), "1152921504606846976 tensors, but"},
      {raw_file("", uint64_t{1} << 60, "", 0), "1152921504606846976 keys, but"},
      {key(13, ""), "key \"k\" has type 13, expected 0 to 12"},
      {key(8, raw<uint64_t>(1 << 20)), "ends inside its header, at k: 1048576 bytes expected"},
      {key(8, raw_text("\xff")), "k is not UTF-8"},
      {key(7, "", "a\nb"), "expected plain text"},
      {key(9, raw<uint32_t>(0) + raw<uint64_t>(uint64_t{1} << 50)), "values of \"k\", but"},
      {key(9, nested), "nested deeper"},
      {key(4, raw<uint32_t>(24), "general.alignment"), "general.alignment is 24"},
      {one({4}, 99), "tensor \"w\" has type number 99, which is not read; expected F32"},
      {one({1, 1, 1, 1, 1, 1, 1, 1, 1}, 0), "has 9 dimensions"},
      {one({uint64_t{1} << 63}, 0), "has a size of 9223372036854775808"},
      {one({uint64_t{1} << 40, uint64_t{1} << 40}, 0), "overflows"},
      {one({33}, 8), "of type Q8_0 has shape [33], expected rows of a multiple of 32"},
      {one({17}, 0), "68 bytes at offset 0 leave the file, which has 64 bytes"},
      {one({4}, 0, 96), "16 bytes at offset 96 leave the file"},
      {one({4}, 0, 8), "begins at offset 8, expected a multiple of 32"},
      {raw_file("", 0, raw_tensor("a", {9}, 0, 0) + raw_tensor("b", {4}, 0, 32), 2),
       "tensors \"a\" and \"b\" overlap"},
      {raw_file("", 0, raw_tensor("a", {4}, 0, 0) + raw_tensor("a", {4}, 0, 32), 2),
       "tensor \"a\" is there twice"}};
  for (const auto& item : cases) {
    SCOPED_TRACE(item.second);
    expect_error(item.second, [&] { parse_gguf(hold_bytes(item.first, "here")); });
  }
}

TEST(Gguf, EveryCutIsRefused) {
  const std::string whole = read_file(kGolden / "package.gguf");
  for (size_t size = 0; size + 32 < whole.size(); size += 7)
    EXPECT_THROW(parse_gguf(hold_bytes(whole.substr(0, size), "here")), UserError) << size;
}

TEST(Gguf, MetadataMayNameAnotherAlignment) {
  const std::string keys = raw_text("general.alignment") + raw<uint32_t>(4) + raw<uint32_t>(64);
  std::string bytes = raw_file(keys, 1, raw_tensor("w", {4}, 0, 0), 1, 0);
  bytes.resize(128 + 16, '\1');
  const GgufFile file = parse_gguf(hold_bytes(bytes, "here"));
  float first = 0;
  std::memcpy(&first, "\1\1\1\1", sizeof first);
  EXPECT_EQ(file.tensors.at("w").read()[0].item<float>(), first);
}

}  // namespace
}  // namespace i1
