// What is made of plain bytes: digests, base64 and characters.
#include <gtest/gtest.h>

#include <numeric>

#include "i1/core/base64.h"
#include "i1/core/digest.h"
#include "i1/core/testing.h"
#include "i1/core/utf8.h"

namespace i1 {
namespace {

TEST(Digest, HasTheKnownValues) {
  EXPECT_EQ(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, OfAFileIsThatOfItsBytes) {
  const std::filesystem::path folder = fresh_folder("digest");
  write_file_atomically(folder / "empty", "");
  EXPECT_EQ(sha256_of_file(folder / "empty"), sha256_hex(""));
  // Longer than the 64 MiB that are taken at a time.
  std::string bytes((64 << 20) + 3, '\0');
  std::iota(bytes.begin(), bytes.end(), '\1');
  write_file_atomically(folder / "long", bytes);
  EXPECT_EQ(sha256_of_file(folder / "long"), sha256_hex(bytes));
  expect_error("none", [&] { sha256_of_file(folder / "none"); });
  expect_error("folder", [&] { sha256_of_file(folder); });
}

TEST(Base64, GoesThereAndBack) {
  EXPECT_EQ(encode_base64("ab"), "YWI=");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes) << i;
    bytes += static_cast<char>(i * 7);
  }
  for (const char* bad : {"YWI", "YW!=", "Y"}) EXPECT_THROW(decode_base64(bad), UserError) << bad;
}

TEST(Utf8, KnowsWhatIsACharacter) {
  EXPECT_EQ(utf8_length(""), 0u);
  EXPECT_EQ(utf8_length("a"), 1u);
  EXPECT_EQ(utf8_length(std::string_view("\0", 1)), 1u);
  EXPECT_EQ(utf8_length("\u00e9x"), 2u);
  EXPECT_EQ(utf8_length("\u2581"), 3u);
  EXPECT_EQ(utf8_length("\U0010FFFF"), 4u);
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x96", "\xE2\x28\xA1", "\xF0\x9F\x98\x28"})
    EXPECT_EQ(utf8_length(bad), 0u) << testing::PrintToString(bad);
}

}  // namespace
}  // namespace i1
