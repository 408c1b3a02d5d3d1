#include "i1/io/zip.h"

#include <gtest/gtest.h>

#include <cstring>

#include "i1/core/error.h"
#include "i1/io/zip_testing.h"

namespace i1 {
namespace {

ZipArchive open(const std::string& bytes) { return ZipArchive(hold_bytes(bytes, "test.zip")); }

const std::vector<ZipMember> kMembers = {{"a.txt", "alpha"},
                                         {"folder/b", std::string(5000, 'b'), true},
                                         {"empty", ""},
                                         {"padded", "xyz", false, false, 37},
                                         {"large", std::string(300, 'c'), true, true, 5}};

void expect_members(const std::string& bytes) {
  const ZipArchive archive = open(bytes);
  ASSERT_EQ(archive.entries().size(), kMembers.size());
  for (const ZipMember& member : kMembers) {
    const ZipEntry* entry = archive.find(member.name);
    ASSERT_NE(entry, nullptr) << member.name;
    EXPECT_EQ(archive.read(*entry), member.content) << member.name;
    EXPECT_EQ(archive.read_start(*entry, 2), member.content.substr(0, 2)) << member.name;
    EXPECT_EQ(entry->is_deflated, member.deflate);
  }
  EXPECT_EQ(archive.find("nothing"), nullptr);
}

// The message of what opening the bytes and reading every entry throws.
std::string message_of(const std::string& bytes) {
  try {
    const ZipArchive archive = open(bytes);
    for (const ZipEntry& entry : archive.entries()) archive.read(entry);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

void expect_message(const std::string& bytes, const std::string& expected) {
  const std::string message = message_of(bytes);
  EXPECT_NE(message.find(expected), std::string::npos) << message;
}

// The bytes with `value` written over those at `offset`.
template <class T>
std::string overwritten(std::string bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  return bytes;
}

TEST(Zip, ReadsStoredAndDeflatedEntries) { expect_members(make_zip(kMembers)); }

TEST(Zip, ReadsAZip64Directory) { expect_members(make_zip(kMembers, /*with_end64=*/true)); }

TEST(Zip, ACommentBehindTheDirectoryIsPassedOver) {
  std::string bytes = make_zip(kMembers);
  bytes = overwritten<uint16_t>(bytes, bytes.size() - 2, 9) + "a comment";
  expect_members(bytes);
}

TEST(Zip, AnArchiveOfNothingIsEmpty) { EXPECT_TRUE(open(make_zip({})).entries().empty()); }

TEST(Zip, EveryTruncationIsRefused) {
  const std::string bytes = make_zip(kMembers);
  for (size_t size = 0; size < bytes.size(); size += size < 60 ? 1 : 7) {
    EXPECT_NE(message_of(bytes.substr(0, size)), "no error") << size;
  }
  expect_message("", "too short");
  expect_message(std::string(1000, 'x'), "no zip directory");
}

TEST(Zip, SaysWhatIsWrongWithADirectory) {
  const std::string bytes = make_zip({{"name", "content"}});
  const size_t end = bytes.size() - 22, entry = bytes.size() - 22 - 46 - 4;
  expect_message(overwritten<uint32_t>(bytes, end + 16, 1u << 30), "leaves the file");
  expect_message(overwritten<uint32_t>(bytes, end + 12, 1u << 30), "leaves the file");
  expect_message(overwritten<uint16_t>(bytes, end + 10, 2), "cannot hold 2 entries");
  expect_message(overwritten<uint32_t>(bytes, entry, 7), "no entry at byte 0");
  expect_message(overwritten<uint16_t>(bytes, entry + 28, 60000), "cut off inside an entry");
  expect_message(overwritten<uint16_t>(bytes, entry + 8, 1), "is encrypted");
  expect_message(overwritten<uint16_t>(bytes, entry + 10, 12), "compressed by method 12");
  expect_message(overwritten<uint32_t>(bytes, entry + 24, 6), "stored in 7 bytes but has 6");
  expect_message(overwritten<uint32_t>(bytes, entry + 42, 1u << 31), "no header at byte");
  expect_message(overwritten<uint32_t>(bytes, entry + 42, 3), "no header at byte 3");
  expect_message(overwritten<uint16_t>(bytes, 28, 60000), "leave the file");
  expect_message(overwritten<uint32_t>(bytes, entry + 16, 1), "checksum does not fit");
  expect_message(make_zip({{"twice", "1"}, {"twice", "2"}}), "occurs twice");
}

TEST(Zip, Zip64FieldsAreCheckedToo) {
  const std::string bytes = make_zip({{"n", "content", false, true}}, true);
  const size_t locator = bytes.size() - 22 - 20, end64 = locator - 56;
  const size_t field = end64 - 24;  // of the one entry: size, stored size, offset
  expect_message(overwritten<uint64_t>(bytes, locator + 8, ~0ull), "zip64 end record");
  expect_message(overwritten<uint64_t>(bytes, end64 + 48, ~0ull - 5), "leaves the file");
  expect_message(overwritten<uint64_t>(bytes, end64 + 32, 1ull << 60), "cannot hold");
  expect_message(overwritten<uint64_t>(bytes, field, 1ull << 40), "has 1099511627776");
  expect_message(
      overwritten<uint64_t>(overwritten<uint64_t>(bytes, field, 1ull << 40), field + 8, 1ull << 40),
      "incomplete or damaged");
  expect_message(overwritten<uint64_t>(bytes, field + 16, ~0ull), "no header at byte");
  expect_message(overwritten<uint16_t>(bytes, field - 2, 8), "zip64 field is cut off");
}

TEST(Zip, ABombIsRefusedBeforeMemoryIsTaken) {
  const std::string bytes = make_zip({{"n", std::string(2000, 'x'), true}});
  const size_t entry = bytes.size() - 22 - 46 - 1;
  expect_message(overwritten<uint32_t>(bytes, entry + 24, 3'000'000'000u), "damaged");
  expect_message(overwritten<uint32_t>(bytes, entry + 24, 3000), "can be decompressed");
}

TEST(Zip, DamageInsideDeflatedDataIsFound) {
  const std::string bytes = make_zip({{"n", "some text that is some text", true}});
  for (size_t i = 31; i < 31 + 15; ++i) {
    EXPECT_NE(message_of(overwritten<char>(bytes, i, static_cast<char>(bytes[i] ^ 0x55))),
              "no error")
        << i;
  }
}

}  // namespace
}  // namespace i1
