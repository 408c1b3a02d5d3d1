#include <gtest/gtest.h>

#include <cmath>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/example.h"
#include "i1/data/shard_writer.h"
#include "i1/data/test_caches.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

Example small_example(const std::string& name) {
  return {"png bytes", 64, 48, 3, {"a cat", ""}, name};
}

TEST(Crc32c, HasTheKnownValue) { EXPECT_EQ(crc32c("123456789"), 0xe3069283u); }

TEST(TfRecord, GivesBackTheRecords) {
  const std::string file =
      frame_record("") + frame_record("abc") + frame_record(std::string(1000, 'x'));
  RecordReader reader(as_bytes(file), "test");
  EXPECT_EQ(reader.next(), "");
  EXPECT_EQ(reader.next(), "abc");
  EXPECT_EQ(reader.next()->size(), 1000u);
  EXPECT_FALSE(reader.next().has_value());
}

TEST(TfRecord, EveryCutAndEveryFlippedBitIsFound) {
  const std::string file = frame_record("abcdef");
  for (size_t size = 1; size < file.size(); ++size) {
    const std::string cut = file.substr(0, size);
    RecordReader reader(as_bytes(cut), "test");
    EXPECT_THROW(reader.next(), UserError) << size;
    EXPECT_FALSE(reader.next().has_value()) << size;
  }
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string damaged = file;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    RecordReader reader(as_bytes(damaged), "test");
    EXPECT_THROW(reader.next(), UserError) << bit;
  }
}

TEST(TfRecord, ReadingGoesOnBehindADamagedPayload) {
  std::string file = frame_record("first") + frame_record("second");
  file[13] ^= 1;
  RecordReader reader(as_bytes(file), "test");
  EXPECT_THROW(reader.next(), UserError);
  EXPECT_EQ(reader.next(), "second");
}

TEST(Example, ComesBackFromItsRecord) {
  const Example before = small_example("zebra"),
                after = parse_stored_example(serialize(before), "test");
  EXPECT_EQ(after.png, before.png);
  EXPECT_EQ(after.height, 64);
  EXPECT_EQ(after.width, 48);
  EXPECT_EQ(after.captions, before.captions);
  EXPECT_EQ(after.image_name, "zebra");
}

TEST(Example, CutMessagesAreRefusedNotRead) {
  const std::string payload = serialize(small_example("zebra"));
  for (size_t size = 0; size < payload.size(); ++size) {
    EXPECT_THROW(parse_stored_example(payload.substr(0, size), "test"), UserError) << size;
  }
}

TEST(Shards, AreWholeOrAbsent) {
  const fs::path folder = fresh_folder("shards");
  {
    ShardWriter abandoned(folder / shard_name(0, 1));
    abandoned.write(small_example("a"));
  }
  EXPECT_TRUE(fs::is_empty(folder));
  EXPECT_THROW(find_shards(folder), UserError);
  ShardWriter writer(folder / shard_name(0, 2));
  writer.write(small_example("a"));
  writer.close();
  EXPECT_EQ(writer.num_records(), 1);
  EXPECT_THROW(find_shards(folder), UserError) << "one of two shards";
}

TEST(Shards, OtherFilesAreNone) {
  const fs::path folder = fresh_folder("other_files");
  for (const char* name :
       {"-train.tfrecord-00000-of-00001", "a-train.tfrecord-0000-of-00001",
        "a-train.tfrecord-00000-of-1", "a-train.tfrecord-00000-of-99999999999999999999",
        "a-train.tfrecord--0001-of-00001", "a-train.tfrecord-00000-of-00001.partial",
        "a-test.tfrecord-00000-of-00001", "a-train.tfrecord-00000of00001", "metadata.jsonl",
        "a-train.tfrecord-00000-of-00001.json", "a-train-00000-of-00001.tar"})
    write_file_atomically(folder / name, "");
  EXPECT_THROW(find_shards(folder), UserError);
  write_file_atomically(folder / "a-b-train.tfrecord-00000-of-00001", "");
  EXPECT_EQ(find_shards(folder), (std::vector{folder / "a-b-train.tfrecord-00000-of-00001"}));
}

TEST(Transform, SizesRoundHalfToEven) {
  EXPECT_EQ(resized_size(128, 129, 64).height, 64);  // 64.5
  EXPECT_EQ(resized_size(131, 128, 64).width, 66);   // 65.5
  EXPECT_EQ(resized_size(9, 400, 64).height, 2844);
  for (const ImageSize& target : {ImageSize{80, 48}, {48, 80}, {64, 64}}) {
    for (const ImageSize& from :
         {ImageSize{1, 1}, {80, 48}, {81, 48}, {80, 49}, {500, 333}, {3, 70}}) {
      const ImageSize size = covering_size(from.width, from.height, target);
      EXPECT_TRUE(size.width == target.width || size.height == target.height);
      EXPECT_TRUE(size.width >= target.width && size.height >= target.height);
    }
  }
}

TEST(Transform, AConstantPictureStaysConstant) {
  Image image = make_image(37, 23);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{201});
  const Image out = resize_and_crop(image, 64);
  EXPECT_EQ(out.width, 64);
  EXPECT_EQ(out.pixels, std::vector<uint8_t>(64 * 64 * 3, 201));
}

// Of every file, cut ones too: a window decoded by itself is that of the whole picture.
TEST(Transform, FromAFileIsThatOfTheDecodedPicture) {
  int64_t num_good = 0;
  for (const auto& entry : fs::directory_iterator("goldens/data/images/inputs")) {
    const std::string file = read_file(entry.path()), name = entry.path().filename().string();
    Image whole;
    try {
      whole = decode_image(as_bytes(file), name);
    } catch (const UserError&) {
      EXPECT_THROW(decode_resized(as_bytes(file), name, {64, 64}), UserError) << name;
      continue;
    }
    ++num_good;
    for (const ImageSize& target : {ImageSize{64, 64}, {16, 96}, {200, 40}}) {
      const Image expected = resize_and_crop(whole, target);
      EXPECT_EQ(decode_resized(as_bytes(file), name, target).pixels, expected.pixels) << name;
    }
  }
  EXPECT_GE(num_good, 40);
}

TEST(Transform, FastDecodingOfASmoothPictureDiffersByLittle) {
  Image image = make_image(400, 300);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      uint8_t* pixel = image.row(y) + 3 * x;
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(128 + 100 * std::sin(0.03 * x + 0.02 * (c + 1) * y));
    }
  }
  const std::string file = encode_jpeg(image);
  const Image exact = decode_resized(as_bytes(file), "test", {64, 64}),
              fast = decode_resized(as_bytes(file), "test", {64, 64}, /*is_fast=*/true);
  ASSERT_EQ(fast.pixels.size(), exact.pixels.size());
  double sum = 0;
  for (size_t i = 0; i < fast.pixels.size(); ++i) sum += std::abs(fast.pixels[i] - exact.pixels[i]);
  EXPECT_LT(sum / static_cast<double>(fast.pixels.size()), 2);
  EXPECT_NE(fast.pixels, exact.pixels);
}

TEST(Transform, EqualSizeChangesNothing) {
  Image image = make_image(64, 64);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 7);
  EXPECT_EQ(resize_and_crop(image, 64).pixels, image.pixels);
}

}  // namespace
}  // namespace i1
