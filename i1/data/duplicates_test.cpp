#include "i1/data/duplicates.h"

#include <gtest/gtest.h>

#include "i1/core/random.h"
#include "i1/data/test_records.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// Soft blobs of colour: a picture as unlike the others as photos are.
Image blobs(uint64_t seed, int side = 200) {
  const RandomStream stream{seed, 7};
  Image small = make_image(9, 9);
  for (size_t i = 0; i < small.pixels.size(); ++i)
    small.pixels[i] = static_cast<uint8_t>(stream.below(i, 256));
  return resize_bilinear(small, side, side * 3 / 4);
}

uint64_t hash_of_bytes(const std::string& bytes) {
  return perceptual_hash(decode_image(std::as_bytes(std::span(bytes)), "test"));
}

TEST(Duplicates, ScaledRecompressedAndCroppedPicturesAreNear) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Image image = blobs(seed);
    const uint64_t hash = perceptual_hash(image);
    const auto distance = [&](const Image& other) {
      return hash_distance(hash, perceptual_hash(other));
    };
    constexpr int kMost = DuplicateRule::kDefaultDistance;
    EXPECT_LE(distance(resize_bilinear(image, 70, 52)), kMost);
    EXPECT_LE(distance(resize_bilinear(image, 400, 300)), kMost);
    EXPECT_LE(hash_distance(hash, hash_of_bytes(encode_jpeg(image, 50))), kMost);
    EXPECT_LE(distance(centre_crop(image, 196, 147)), kMost);
    Image with_alpha = make_image(image.width, image.height, 4);
    for (size_t i = 0; i < image.pixels.size() / 3; ++i) {
      std::copy_n(image.pixels.data() + 3 * i, 3, with_alpha.pixels.data() + 4 * i);
      with_alpha.pixels[4 * i + 3] = 255;
    }
    EXPECT_EQ(distance(with_alpha), 0);
  }
}

TEST(Duplicates, OtherColoursAreAnotherPicture) {
  const Image red = blobs(3);
  Image blue = red;
  for (size_t i = 0; i < blue.pixels.size(); i += 3) std::swap(blue.pixels[i], blue.pixels[i + 2]);
  const PictureHash one{"a", 1, colour_hash(red), {1, 1}}, two{"b", 1, colour_hash(blue), {1, 1}};
  const PictureHash small{"c", 1, colour_hash(resize_bilinear(red, 70, 52)), {1, 1}};
  EXPECT_EQ(find_duplicates({one, two, small}, {true, true, true}, {.is_similar = true}),
            (std::vector<int64_t>{-1, -1, 0}));
}

TEST(Duplicates, AThousandDifferentPicturesAreFarApart) {
  std::vector<PictureHash> hashes;
  for (uint64_t seed = 0; seed < 1000; ++seed)
    hashes.push_back({std::to_string(seed), perceptual_hash(blobs(seed, 64)), {}, {64, 48}});
  const auto found =
      find_duplicates(hashes, std::vector<bool>(hashes.size(), true), {.is_similar = true});
  EXPECT_EQ(std::count(found.begin(), found.end(), -1), 1000);
}

TEST(Duplicates, EveryPairWithinTheDistanceIsFoundAndNoOther) {
  const RandomStream stream{5, 5};
  for (const int distance : {0, 3, 4, 8, 11}) {
    std::vector<PictureHash> hashes;
    for (uint64_t i = 0; i < 300; ++i) {
      // Pairs that differ in 0 to 15 bits anywhere.
      uint64_t hash = i % 2 == 1 ? hashes.back().perceptual
                                 : uint64_t{stream.bits(2 * i)} << 32 | stream.bits(2 * i + 1);
      if (i % 2 == 1)
        for (uint64_t k = 0; k < i / 2 % 16; ++k)
          hash ^= uint64_t{1} << stream.below(1000 + 16 * i + k, 64);
      hashes.push_back({std::to_string(i), hash, {}, {1, 1}});
    }
    const auto found =
        find_duplicates(hashes, std::vector<bool>(hashes.size(), true), {true, distance});
    for (size_t i = 0; i < hashes.size(); ++i) {
      int64_t expected = -1;
      for (size_t j = 0; j < i && expected < 0; ++j)
        if (found[j] < 0 && hash_distance(hashes[i].perceptual, hashes[j].perceptual) <= distance)
          expected = static_cast<int64_t>(j);
      EXPECT_EQ(found[i], expected) << i << " at " << distance;
    }
  }
}

TEST(Duplicates, TheFirstThatCanBeUsedIsKept) {
  const std::vector<PictureHash> hashes = {
      {"a", 0, {}, {1, 1}}, {"a", 0, {}, {1, 1}}, {"b", 1, {}, {1, 1}}, {"a", 0, {}, {1, 1}}};
  EXPECT_EQ(find_duplicates(hashes, {false, true, true, true}, {}),
            (std::vector<int64_t>{-1, -1, -1, 1}));
  EXPECT_EQ(find_duplicates(hashes, {false, true, true, true}, {true, 1}),
            (std::vector<int64_t>{-1, -1, 1, 1}));
}

TEST(Duplicates, PartsOfHashesServeABuild) {
  const fs::path root = fresh_folder("duplicates");
  fs::create_directories(root / "pictures");
  std::vector<TableRow> rows;
  const auto put = [&](const std::string& name, const std::string& bytes) {
    write_file_atomically(root / "pictures" / name, bytes);
    rows.push_back({{"key", fs::path(name).stem().string()}, {"one", "x"}});
  };
  put("a.png", encode_png(blobs(1)));
  put("b.png", encode_png(blobs(1)));
  put("c.jpg", encode_jpeg(blobs(1), 50));
  put("d.png", encode_png(blobs(2)));
  put("e.png", "no picture");
  const CaptionTable captions(rows, {"one"}, "test");
  auto pictures = list_folder(root / "pictures");
  expect_error("no such folder", [&] { read_hashes(pictures, root / "hashes"); });
  EXPECT_TRUE(write_hashes(pictures, {1, 2}, root / "hashes"));
  expect_error("--shard 0/2", [&] { read_hashes(pictures, root / "hashes"); });
  EXPECT_TRUE(write_hashes(pictures, {0, 2}, root / "hashes"));
  EXPECT_FALSE(write_hashes(pictures, {0, 2}, root / "hashes"));
  const auto hashes = read_hashes(pictures, root / "hashes");
  auto fewer = pictures;
  fewer.pop_back();
  expect_error("other pictures", [&] { read_hashes(fewer, root / "hashes"); });

  RecordBuildOptions options;
  options.resolutions = {{8}};
  options.num_shards = 2;
  for (const auto& [is_similar, count] : {std::pair{false, 1}, {true, 2}}) {
    auto marked = pictures;
    mark_duplicates(marked, hashes, captions, options, {.is_similar = is_similar});
    const fs::path output = root / (is_similar ? "similar" : "exact");
    const BadRecords left_out = build_records(marked, captions, options, output)[0].left_out();
    EXPECT_EQ(left_out.counts,
              (std::map<std::string, int64_t>{{kDuplicate, count}, {kNotDecoded, 1}}));
    EXPECT_EQ(left_out.first.at(kDuplicate), "b of a");
  }
}

}  // namespace
}  // namespace i1
