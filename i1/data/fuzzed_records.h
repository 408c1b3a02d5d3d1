// For tests: a data set of good and bad records, from a few pictures of every format and a seed.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "i1/core/random.h"
#include "i1/data/test_records.h"
#include "i1/data/transform.h"
#include "i1/io/image_testing.h"

namespace i1 {

struct FuzzedRecords {
  std::map<std::string, int64_t> bad;  ///< by reason, where a caption is needed
  std::map<std::string, Image> good;   ///< by name: the picture that must come out
};

class RecordFuzzer {
 public:
  explicit RecordFuzzer(uint64_t seed) : stream_{seed, fnv1a("fuzzed records")} {
    const std::string inputs = "goldens/data/images/inputs/";
    for (const char* name :
         {"shape_upscale_37x23.png", "jpeg_cmyk_adobe.jpg", "jpeg_ycck.jpg", "jpeg_gray.jpg",
          "jpeg_411.jpg", "png_gray16.png", "png_interlaced.png", "png_palette_alpha.png",
          "shape_wide_1000x7.png", "shape_tall_9x400.png", "webp_animated.webp", "gif_named.jpg",
          "tiff_gray16.tif", "bmp_palette.bmp"})
      files_.push_back(read_file(inputs + name));
    for (int i = 0; i < 60; ++i) files_.push_back(small_picture(stream_.child("picture", i)));
    webp_ = files_[10];
    gif_ = files_[11];
    for (const std::string& file : files_) sizes_.push_back(probe_image(bytes_of(file), "seed"));
  }

  /// Record `number` of the set, framed; what must become of it is added to `expected`.
  std::string record(int64_t number, bool is_good, int side, FuzzedRecords& expected) const {
    const RandomStream own = stream_.child("record", static_cast<uint64_t>(number));
    const auto file = static_cast<size_t>(own.below(0, static_cast<int64_t>(files_.size())));
    Example example{files_[file],     sizes_[file].height,   sizes_[file].width, 3,
                    {"one", "two ✓"}, std::to_string(number)};
    const int64_t kind = is_good ? kNumFaults : own.below(1, kNumFaults + kNumFaults / 2);
    if (kind >= kNumFaults) {
      expected.good[example.image_name] =
          fit_picture(decode_image(bytes_of(example.png), "seed"), {side, side}, "seed");
      return frame_record(serialize(example));
    }
    const Faulty faulty = damage(kind, std::move(example), own);
    ++expected.bad[faulty.reason];
    return faulty.frame;
  }

 private:
  struct Faulty {
    std::string reason, frame;
  };

  static std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
  }

  static std::string small_picture(const RandomStream& own) {
    const bool is_long = own.below(0, 4) == 0;  // 200 times as long as wide
    const int width = is_long ? 3 : 1 + static_cast<int>(own.below(1, 24));
    Image image = make_image(width, is_long ? 600 : 1 + static_cast<int>(own.below(2, 24)));
    for (size_t i = 0; i < image.pixels.size(); ++i)
      image.pixels[i] = static_cast<uint8_t>(own.bits(3 + i));
    switch (own.below(3, 4)) {
      case 0:
        return encode_jpeg(image, 30 + static_cast<int>(own.below(4, 70)));
      case 1:
        return make_cmyk_jpeg(width, 9, {10, 200, 90, static_cast<uint8_t>(own.bits(4))});
      case 2:  // 16 bits
        return make_png(3, 2, 16, 2, {std::string(18, '\x40'), std::string(18, '\x90')});
      default:
        return encode_png(image);
    }
  }

  // A few bytes that claim to be a picture of more pixels than memory holds.
  std::string bomb(int64_t kind, Example& example) const {
    const auto side = static_cast<uint32_t>(kind == 2 ? 65'535 : 1'000'000);
    example.width = example.height = kind == 1 ? 65'500 : side;
    const std::string zeros(4, '\0');
    if (kind == 0) return make_png(side, side, 8, 2, {"\x01"});
    if (kind == 1) {
      std::string jpeg = encode_jpeg(make_image(8, 8));
      const size_t frame = jpeg.find("\xff\xc0");
      return jpeg.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
    }
    if (kind == 2) return gif_.substr(0, 6) + "\xff\xff\xff\xff" + gif_.substr(10);
    if (kind == 3) return make_bmp(1'000'000, 1'000'000, 24, 0, "", {});
    return make_tiff({{256, 4, {side}},
                      {257, 4, {side}},
                      {278, 4, {1}},
                      {259, 3, {1}},
                      {258, 3, {8}},
                      {262, 3, {1}}},
                     "x");
  }

  static constexpr int64_t kNumFaults = 16;

  Faulty damage(int64_t kind, Example example, const RandomStream& own) const {
    const std::string png = encode_png(flat_picture(static_cast<int>(own.below(2, 256))));
    const auto framed = [&](const char* reason) {
      return Faulty{reason, frame_record(serialize(example))};
    };
    const auto take_png = [&](std::string bytes) {
      example.png = std::move(bytes);
      example.width = example.height = 8;
    };
    const auto within = [&](uint64_t draw, size_t size) {
      return static_cast<size_t>(own.below(draw, static_cast<int64_t>(size)));
    };
    switch (kind) {
      case 0:
        take_png(png.substr(0, 1 + within(3, png.size() - 1)));
        return framed("picture does not decode");
      case 1:
        take_png(png);
        example.png[within(3, png.size())] ^= static_cast<char>(1 << own.below(4, 8));
        return framed("picture does not decode");
      case 2:
        example.png = webp_.substr(0, 12 + within(3, webp_.size() - 12));
        example.width = example.height = -1;
        return framed("picture does not decode");
      case 3:
        example.png = "words, not a picture";
        return framed("picture does not decode");
      case 4:
        example.png.clear();
        return framed("empty picture");
      case 5:
        (own.below(3, 2) == 0 ? example.width : example.height) = 0;
        return framed("empty picture");
      case 6:
        ++(own.below(3, 2) == 0 ? example.width : example.height);
        return framed("shape does not fit the picture");
      case 7:
        example.channels = 4;
        return framed("shape does not fit the picture");
      case 8:
        example.png = bomb(own.below(3, 5), example);
        return framed("picture is too large");
      case 9:  // and the record tells another size
        example.png = bomb(own.below(3, 5), example);
        example.width = example.height = 64;
        return framed("shape does not fit the picture");
      case 10:
        example.captions[1].resize(example.captions[1].size() - 1);
        return framed("caption is not UTF-8");
      case 11:
        example.captions.clear();
        return framed("no caption");
      case 12: {
        const std::string payload = serialize(example);
        return {"not an example",
                frame_record(payload.substr(0, 1 + within(3, payload.size() - 1)))};
      }
      case 13:
        return {"wrong features",
                frame_record(serialize_example({{"image", std::vector<int64_t>{own.below(3, 100)}},
                                                {"caption", std::vector<std::string>{"a"}}}))};
      case 14:
        return {"wrong features", frame_record("")};
      default: {
        std::string frame = frame_record(serialize(example));
        frame[12 + within(3, frame.size() - 12)] ^= static_cast<char>(1 << own.below(4, 8));
        return {"wrong checksum", frame};
      }
    }
  }

  RandomStream stream_;
  std::vector<std::string> files_;
  std::vector<ImageSize> sizes_;
  std::string webp_, gif_;
};

/// Shards of equal length; the first record of each is good, every third shard is cut inside its
/// last frame, and in every third the last frame's length has a wrong checksum.
inline FuzzedRecords write_fuzzed_records(const std::filesystem::path& folder, int64_t num_shards,
                                          int64_t records_per_shard, int side, uint64_t seed = 1) {
  const RecordFuzzer fuzzer(seed);
  FuzzedRecords expected;
  std::filesystem::create_directories(folder);
  for (int64_t shard = 0; shard < num_shards; ++shard) {
    std::string bytes;
    for (int64_t i = 0; i < records_per_shard - 1; ++i)
      bytes += fuzzer.record(shard * records_per_shard + i, i == 0, side, expected);
    std::string last = frame_record(serialize(test_example(0)));
    if (shard % 3 == 1) last.resize(last.size() / 2);
    if (shard % 3 == 2) last[3] ^= 1;
    if (shard % 3 == 0) last = frame_record("junk");
    ++expected.bad[std::array{"not an example", "cut off", "wrong checksum"}[shard % 3]];
    write_file_atomically(folder / shard_name(shard, num_shards), bytes + last);
  }
  return expected;
}

}  // namespace i1
