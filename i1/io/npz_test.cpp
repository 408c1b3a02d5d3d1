#include "i1/io/npz.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/io/zip_testing.h"

namespace i1 {
namespace {

const std::string kSix = bytes_of<float>({0, 1, 2, 3, 4, 5});

StoredTensors parse(const std::vector<ZipMember>& members, const WantsTensor& wants = nullptr) {
  return parse_npz(std::make_shared<const ZipArchive>(hold_bytes(make_zip(members), "test.npz")),
                   wants);
}

at::Tensor read_one(const std::string& npy, bool deflate = false, size_t padding = 0) {
  return parse({{"a/b.npy", npy, deflate, false, padding}}).at("a/b").read();
}

void expect_refused(const std::string& npy, const std::string& expected) {
  try {
    read_one(npy);
    ADD_FAILURE() << "accepted, expected: " << expected;
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
  }
}

TEST(Npz, ReadsAnyAlignmentStoredAndDeflated) {
  const std::string npy = make_npy("<f4", "(2, 3)", kSix);
  const at::Tensor expected = at::tensor({0.f, 1.f, 2.f, 3.f, 4.f, 5.f}).view({2, 3});
  for (size_t padding = 0; padding < 8; ++padding)
    EXPECT_TRUE(at::equal(read_one(npy, false, padding), expected)) << padding;
  EXPECT_TRUE(at::equal(read_one(npy, /*deflate=*/true), expected));
}

TEST(Npz, FortranOrderIsTransposed) {
  const at::Tensor found = read_one(make_npy("<f4", "(2, 3)", kSix, /*is_fortran=*/true));
  EXPECT_TRUE(at::equal(found, at::tensor({0.f, 2.f, 4.f, 1.f, 3.f, 5.f}).view({2, 3})));
}

TEST(Npz, AVoidOfTwoBytesIsBfloat16) {
  for (const char* descr : {"<V2", "|V2"}) {
    const at::Tensor found =
        read_one(make_npy(descr, "(2,)", bytes_of<uint16_t>({0x3f80, 0xc040})));
    EXPECT_EQ(found.scalar_type(), at::kBFloat16);
    EXPECT_EQ(found[0].item<float>(), 1);
    EXPECT_EQ(found[1].item<float>(), -3);
  }
}

TEST(Npz, ScalarsAndEmptyTensorsHaveTheirShapes) {
  EXPECT_EQ(read_one(make_npy("<i4", "()", bytes_of<int32_t>({12}))).item<int>(), 12);
  EXPECT_EQ(read_one(make_npy("<f8", "(0, 7)", "")).sizes(), at::IntArrayRef({0, 7}));
  EXPECT_EQ(read_one(make_npy("|b1", "(1,)", "\x01")).scalar_type(), at::kBool);
}

TEST(Npz, OtherVersionsHaveLongerHeaderLengths) {
  const std::string first = make_npy("<f4", "(6,)", kSix);
  std::string second = first.substr(0, 6) + std::string("\x02\x00", 2) + first.substr(8, 2) +
                       std::string(2, '\0') + first.substr(10);
  EXPECT_EQ(read_one(second).numel(), 6);
  second[6] = 4;
  expect_refused(second, "version 4");
}

TEST(Npz, OnlyWhatIsWantedIsLookedAt) {
  const StoredTensors tensors =
      parse({{"opt/x.npy", "damaged"}, {"params_ema/x.npy", make_npy("<f4", "(6,)", kSix)}},
            [](const std::string& name) { return name.starts_with("params_ema/"); });
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors.at("params_ema/x").info.shape, std::vector<int64_t>({6}));
}

TEST(Npz, SaysWhatIsWrong) {
  expect_refused("", "is not a .npy file");
  expect_refused("PNG and other things", "is not a .npy file");
  expect_refused(make_npy("<f4", "(2, 3)", kSix).substr(0, 40), "damaged");
  expect_refused(make_npy("<f4", "(2, 4)", kSix), "needs 32");
  expect_refused(make_npy("<f4", "(2, 2)", kSix), "needs 16");
  expect_refused(make_npy("<f4", "(-2, -3)", kSix), "negative size");
  expect_refused(make_npy("<f4", "(9223372036854775807, 3)", kSix), "overflows");
  expect_refused(make_npy("<f4", "(99999999999999999999,)", kSix), "header");
  expect_refused(make_npy(">f4", "(2, 3)", kSix), "\">f4\" is not read");
  expect_refused(make_npy("|O", "(2, 3)", kSix), "\"|O\" is not read");
  expect_refused(make_npy("<f4", "2, 3", kSix), "header");
  std::string records = make_npy("<f4", "(2, 3)", kSix);
  records.replace(records.find("'<f4'"), 5, "[('',");
  expect_refused(records, "header");
  EXPECT_THROW(parse({{"data.txt", "x"}}), UserError);
}

TEST(Npz, EveryTruncatedHeaderIsRefused) {
  const std::string npy = make_npy("<f4", "(2, 3)", kSix);
  for (size_t size = 0; size < npy.size(); ++size)
    EXPECT_THROW(read_one(npy.substr(0, size)), UserError) << size;
}

}  // namespace
}  // namespace i1
