#include "i1/io/image.h"

#include <gtest/gtest.h>
#include <webp/encode.h>

#include <algorithm>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/image_testing.h"

namespace i1 {
namespace {

using Pixels = std::vector<uint8_t>;

enum PngType { kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6 };

Image decode(const std::string& bytes, const DecodeOptions& options = {}) {
  return decode_image(std::as_bytes(std::span(bytes)), "test", options);
}

Pixels rgb(const std::string& bytes) { return decode(bytes).pixels; }

Pixels rgba(const std::string& bytes) { return decode(bytes, {.keep_alpha = true}).pixels; }

void expect_refused(const std::string& bytes, const std::string& expected,
                    const DecodeOptions& options = {}) {
  try {
    decode(bytes, options);
    ADD_FAILURE() << "accepted, expected: " << expected;
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

Image gradient(int width, int height, int channels = 3) {
  Image image = make_image(width, height, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(i * 7 + i / 5);
  return image;
}

std::string webp_of(const Image& image) {
  uint8_t* out = nullptr;
  const size_t size =
      WebPEncodeLosslessRGBA(image.pixels.data(), image.width, image.height, image.width * 4, &out);
  std::string bytes(reinterpret_cast<const char*>(out), size);
  WebPFree(out);
  return bytes;
}

// A GIF of 2x2 pixels with indices 0 1 / 2 3, on a screen of `width` x 3.
std::string small_gif(int width = 2, const std::string& before_frame = "") {
  const std::string palette("\x0a\x0b\x0c\x14\x15\x16\x1e\x1f\x20\x28\x29\x2a", 12);
  // Codes of 3 bits: clear (4), 0, 1, 2, then of 4 bits (the table has reached 8): 3, end (5).
  const uint64_t codes = 4 | 0 << 3 | 1 << 6 | 2 << 9 | 3ull << 12 | 5ull << 16;
  return "GIF89a" + little_endian(static_cast<uint64_t>(width), 2) + little_endian(3, 2) +
         std::string("\xf1\x00\x00", 3) + palette + before_frame + "," + little_endian(0, 2) +
         little_endian(0, 2) + little_endian(2, 2) + little_endian(2, 2) + std::string(1, '\0') +
         "\x02\x03" + little_endian(codes, 3) + std::string(1, '\0') + ";";
}

TEST(Png, GivesBackWhatWasWrittenWithItsTexts) {
  for (const int channels : {3, 4}) {
    const Image image = gradient(13, 7, channels);
    const std::string bytes = encode_png(image, {{"key", "größer"}});
    EXPECT_EQ(channels == 4 ? rgba(bytes) : rgb(bytes), image.pixels);
    EXPECT_EQ(read_png_texts(std::as_bytes(std::span(bytes)), "test").at("key"), "größer");
    EXPECT_EQ(bytes, encode_png(image, {{"key", "größer"}}));
  }
}

TEST(Png, SixteenBitGreyClipsAndColourKeepsItsHighByte) {
  EXPECT_EQ(rgb(make_png(3, 1, 16, kGrey, {std::string("\0\x05\0\xff\x01\0", 6)})),
            Pixels({5, 5, 5, 255, 255, 255, 255, 255, 255}));
  EXPECT_EQ(rgb(make_png(1, 1, 16, kRgb, {"\x12\xff\x34\xff\x56\xff"})),
            Pixels({0x12, 0x34, 0x56}));
}

TEST(Png, PalettesAndTransparencyLoseTheirAlpha) {
  const std::string extra = png_chunk("PLTE", std::string("\x0a\x14\x1e\x28\x32\x3c", 6)) +
                            png_chunk("tRNS", std::string("\x80", 1));
  const std::string bytes = make_png(2, 1, 8, kPalette, {std::string("\x01\x00", 2)}, extra);
  EXPECT_EQ(rgb(bytes), Pixels({40, 50, 60, 10, 20, 30}));
  EXPECT_EQ(rgba(bytes), Pixels({40, 50, 60, 255, 10, 20, 30, 128}));
  EXPECT_EQ(
      rgb(make_png(8, 1, 1, kGrey, {"\xa0"})),
      Pixels({255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(Png, GreyAndAlphaBecomesGreyOrRgba) {
  const std::string bytes = make_png(1, 1, 8, kGreyAlpha, {"\x64\x32"});
  EXPECT_EQ(rgb(bytes), Pixels({100, 100, 100}));
  EXPECT_EQ(rgba(bytes), Pixels({100, 100, 100, 50}));
}

TEST(Png, HiddenColoursShow) {
  EXPECT_EQ(rgb(make_png(1, 1, 8, kRgba, {std::string("\x01\x02\x03\x00", 4)})), Pixels({1, 2, 3}));
}

TEST(Png, RowsBehindTheDamageAreBlack) {
  std::vector<std::string> rows(300);
  for (size_t y = 0; y < rows.size(); ++y) {
    for (size_t x = 0; x < 300; ++x) rows[y] += static_cast<char>(1 + (x * y + x * 31) % 255);
  }
  const std::string bytes = make_png(100, 300, 8, kRgb, rows);
  const Image cut = decode(bytes.substr(0, bytes.size() / 2)), whole = decode(bytes);
  EXPECT_TRUE(std::equal(cut.row(0), cut.row(50), whole.row(0)));
  EXPECT_EQ(Pixels(cut.row(299), cut.row(299) + 300), Pixels(300, 0));
}

TEST(Png, SaysWhatIsWrong) {
  const std::string good = make_png(1, 1, 8, kGrey, {"\x01"});
  expect_refused(good.substr(0, 20), "cut inside its header");
  std::string bad = good;
  bad[20] ^= 1;
  expect_refused(bad, "header is damaged");
  expect_refused(make_png(0, 1, 8, kGrey, {}), "not a readable PNG");
  expect_refused(make_png(1, 1, 3, kGrey, {"\x01"}), "not a readable PNG");
}

TEST(Jpeg, CmykIsTakenAsInverted) {
  const Pixels white = rgb(make_cmyk_jpeg(8, 8, {255, 255, 255, 255}));
  const Pixels black = rgb(make_cmyk_jpeg(8, 8, {255, 255, 255, 0}));
  EXPECT_EQ(*std::min_element(white.begin(), white.end()), 255);
  EXPECT_EQ(*std::max_element(black.begin(), black.end()), 0);
}

TEST(Jpeg, OrientationIsIgnored) {
  const std::string plain = encode_jpeg(gradient(16, 8));
  // APP1: Exif, a TIFF directory of one entry, 0x112 = 6 (turned by 90 degrees)
  const std::string exif = std::string("Exif\0\0II*\0\x08\0\0\0\x01\0", 16) +
                           std::string("\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 16);
  std::string turned = plain.substr(0, 2) + "\xff\xe1";
  turned += std::string(1, '\0') + static_cast<char>(exif.size() + 2) + exif + plain.substr(2);
  const Image image = decode(turned);
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ(image.pixels, rgb(plain));
}

TEST(Jpeg, AMissingTailIsGrey) {
  const std::string bytes = encode_jpeg(gradient(64, 64), 100);
  const Image cut = decode(bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(cut.height, 64);
  EXPECT_EQ(cut.row(63)[3 * 63], 128);
  expect_refused(bytes.substr(0, 100), "not a readable JPEG");
}

TEST(WebP, IsReadWithAndWithoutAlpha) {
  Image image = gradient(9, 5, 4);
  for (size_t i = 3; i < image.pixels.size(); i += 4) image.pixels[i] |= 1;  // none transparent
  const std::string bytes = webp_of(image);
  EXPECT_EQ(rgba(bytes), image.pixels);
  EXPECT_EQ(rgb(bytes).size(), 9u * 5 * 3);
  expect_refused(bytes.substr(0, bytes.size() - 4), "WebP");
  expect_refused("RIFF\x04\0\0\0WEBP", "picture of a known format");
}

TEST(Gif, TheFirstFrameLiesOnItsScreen) {
  const Pixels frame = {10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 10, 11, 12, 10, 11, 12};
  EXPECT_EQ(rgb(small_gif()), frame);
  const Image wide = decode(small_gif(5));
  EXPECT_EQ(wide.width, 5);
  EXPECT_EQ(wide.height, 3);
  const Image widened = decode(small_gif(1));  // the frame reaches over the screen
  EXPECT_EQ(widened.width, 2);
}

TEST(Gif, TheTransparentIndexHasNoAlpha) {
  const std::string control("\x21\xf9\x04\x01\x00\x00\x02\x00", 8);
  const Pixels found = rgba(small_gif(2, control));
  EXPECT_EQ(Pixels(found.begin() + 8, found.begin() + 12), Pixels({30, 31, 32, 0}));
  EXPECT_EQ(found[3], 255);
  EXPECT_EQ(found[4 * 4 + 3], 0);  // no row reaches it
}

TEST(Gif, SaysWhatIsWrong) {
  const std::string good = small_gif();
  expect_refused(good.substr(0, 8), "not a readable GIF");
  expect_refused(good.substr(0, 26), "GIF");
  expect_refused(good.substr(0, 25) + ";", "without a picture");
  EXPECT_EQ(rgb(good.substr(0, good.size() - 6)).size(), 18u);  // cut inside the rows
}

TEST(Bmp, RowsAreStoredFromTheBottomUnlessTheHeightIsNegative) {
  const std::string low = "\x03\x02\x01", high = "\x06\x05\x04";
  EXPECT_EQ(rgb(make_bmp(1, 2, 24, 0, "", {low, high})), Pixels({4, 5, 6, 1, 2, 3}));
  EXPECT_EQ(rgb(make_bmp(1, -2, 24, 0, "", {low, high})), Pixels({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(rgb(make_bmp(1, 2, 24, 0, "", {low, high}, 12)), Pixels({4, 5, 6, 1, 2, 3}));
}

TEST(Bmp, EveryDepthIsRead) {
  const std::string palette("\x01\x02\x03\0\x04\x05\x06\0", 8);
  EXPECT_EQ(rgb(make_bmp(2, 1, 1, 0, palette, {"\x40"})), Pixels({3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(rgb(make_bmp(2, 1, 4, 0, palette, {"\x10"})), Pixels({6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(rgb(make_bmp(2, 1, 8, 0, palette, {std::string("\x01\x09", 2)})),
            Pixels({6, 5, 4, 0, 0, 0}));
  EXPECT_EQ(rgb(make_bmp(1, 1, 16, 0, "", {std::string("\x1f\x7c", 2)})), Pixels({255, 0, 255}));
  EXPECT_EQ(rgb(make_bmp(1, 1, 32, 0, "", {std::string("\x01\x02\x03\x00", 4)})),
            Pixels({3, 2, 1}));
  const std::string masks =
      little_endian(0xf800, 4) + little_endian(0x7e0, 4) + little_endian(0x1f, 4);
  EXPECT_EQ(rgb(make_bmp(1, 1, 16, 3, masks, {std::string("\xe0\x07", 2)})), Pixels({0, 255, 0}));
}

TEST(Bmp, RunLengthsAreRead) {
  const std::string palette("\x01\x02\x03\0\x04\x05\x06\0", 8);
  const std::string runs("\x03\x01\x00\x00\x00\x03\x01\x00\x01\x00\x00\x01", 12);
  EXPECT_EQ(rgb(make_bmp(3, 2, 8, 1, palette, {runs})),
            Pixels({6, 5, 4, 3, 2, 1, 6, 5, 4, 6, 5, 4, 6, 5, 4, 6, 5, 4}));
  const std::string nibbles("\x03\x10\x00\x01", 4);
  EXPECT_EQ(rgb(make_bmp(3, 1, 4, 2, palette, {nibbles})), Pixels({6, 5, 4, 3, 2, 1, 6, 5, 4}));
}

TEST(Bmp, MissingRowsAreBlackAndDamagedHeadersRefused) {
  const std::string good = make_bmp(1, 2, 24, 0, "", {"\x03\x02\x01", "\x06\x05\x04"});
  EXPECT_EQ(rgb(good.substr(0, good.size() - 1)), Pixels({0, 0, 0, 1, 2, 3}));
  expect_refused(good.substr(0, 30), "cut inside its header");
  expect_refused(make_bmp(0, 2, 24, 0, "", {}), "a picture of 0x2");
  expect_refused(make_bmp(-1, 2, 24, 0, "", {}), "a picture of -1x2");
  expect_refused(make_bmp(1, 1, 24, 4, "", {}), "compression 4");
  expect_refused(make_bmp(1, 1, 7, 0, "", {}), "7 bits a pixel");
}

TEST(Tiff, GreyColourAndPaletteAreRead) {
  const std::vector<TiffTag> size = {{256, 3, {2}}, {257, 3, {1}}, {278, 3, {1}}, {259, 3, {1}}};
  const auto with = [&](std::vector<TiffTag> more) {
    more.insert(more.end(), size.begin(), size.end());
    return more;
  };
  EXPECT_EQ(rgb(make_tiff(with({{258, 3, {8}}, {262, 3, {1}}}), "\x05\x06")),
            Pixels({5, 5, 5, 6, 6, 6}));
  EXPECT_EQ(rgb(make_tiff(with({{258, 3, {8}}, {262, 3, {0}}}), "\x05\x06")),
            Pixels({250, 250, 250, 249, 249, 249}));
  EXPECT_EQ(rgb(make_tiff(with({{258, 3, {1}}, {262, 3, {1}}}), "\x40")),
            Pixels({0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(rgb(make_tiff(with({{258, 3, {16}}, {262, 3, {1}}}), std::string("\x05\0\0\x01", 4))),
            Pixels({5, 5, 5, 255, 255, 255}));
  const std::string two = "\x01\x02\x03\x04\x05\x06";
  EXPECT_EQ(rgb(make_tiff(with({{258, 3, {8, 8, 8}}, {262, 3, {2}}, {277, 3, {3}}}), two)),
            Pixels({1, 2, 3, 4, 5, 6}));
  std::vector<uint32_t> colors(48);
  colors[1] = 0x1100;
  colors[17] = 0x2200;
  colors[33] = 0x3300;
  EXPECT_EQ(rgb(make_tiff(with({{258, 3, {4}}, {262, 3, {3}}, {320, 3, colors}}), "\x10")),
            Pixels({0x11, 0x22, 0x33, 0, 0, 0}));
  EXPECT_EQ(rgba(make_tiff(with({{258, 3, {8, 8, 8, 8}}, {262, 3, {2}}, {277, 3, {4}}}),
                           "\x01\x02\x03\x04\x05\x06\x07\x08")),
            Pixels({1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(Tiff, MissingRowsAreBlackAndOddKindsRefused) {
  std::vector<TiffTag> tags = {{256, 3, {2}}, {257, 3, {3}}, {278, 3, {3}},
                               {259, 3, {1}}, {258, 3, {8}}, {262, 3, {1}}};
  EXPECT_EQ(rgb(make_tiff(tags, "\x05\x06\x07\x08")),
            Pixels({5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 0, 0, 0, 0, 0, 0}));
  expect_refused(make_tiff(tags, ""), "without a readable row");
  tags.back() = {262, 3, {8}};  // CIELab
  expect_refused(make_tiff(tags, "\x05\x06\x07\x08\x09\x0a"), "colour space 8");
  expect_refused(std::string("II*\0\x08\0\0\0", 8), "without a readable directory");
}

// The quick decoder must take what libpng would, and nothing else: with alpha kept, libpng reads.
TEST(Png, TheQuickDecoderGivesWhatLibpngDoes) {
  for (const auto& [width, height] : {std::pair{1, 1}, {2, 3}, {5, 40}, {100, 7}, {256, 256}}) {
    Image image = make_image(width, height);
    for (size_t i = 0; i < image.pixels.size();
         ++i)  // smooth and noisy, so that every filter occurs
      image.pixels[i] = static_cast<uint8_t>(i / 7 + (i / 999 % 2 == 0 ? i * i * 31 >> 5 : 0));
    const std::string png = encode_png(image);
    EXPECT_EQ(rgb(png), image.pixels);
    const Image slow = decode_image(std::as_bytes(std::span(png)), "test", {.keep_alpha = true});
    EXPECT_EQ(composite(slow, 0, 0, 0).pixels, image.pixels);
  }
}

TEST(Images, BombsAreRefusedBeforeMemoryIsTaken) {
  const std::vector<TiffTag> huge = {{256, 4, {1000000}}, {257, 4, {1000000}}, {278, 4, {1}},
                                     {259, 3, {1}},       {258, 3, {8}},       {262, 3, {1}}};
  expect_refused(make_png(100000, 100000, 8, kGrey, {"\x01"}), "more than the limit");
  expect_refused(make_bmp(2000000000, 2000000000, 24, 0, "", {}), "more than the limit");
  expect_refused(make_tiff(huge, "x"), "more than the limit");
  for (const std::string& bytes :
       {encode_png(gradient(11, 10)), encode_jpeg(gradient(11, 10)), webp_of(gradient(11, 10, 4)),
        make_bmp(11, 10, 24, 0, "", {}), small_gif(37)}) {
    expect_refused(bytes, "more than the limit of 100", {.max_pixels = 100});
  }
}

TEST(Images, ProbingGivesTheSizeOfEveryFormat) {
  const std::string tiff = make_tiff({{256, 3, {11}}, {257, 3, {10}}, {258, 3, {8}}, {262, 3, {1}}},
                                     std::string(110, 'x'));
  for (const std::string& bytes :
       {encode_png(gradient(11, 10)), encode_jpeg(gradient(11, 10)), webp_of(gradient(11, 10, 4)),
        make_bmp(11, -10, 24, 0, "", {}), tiff}) {
    const ImageSize size = probe_image(std::as_bytes(std::span(bytes)), "test");
    EXPECT_EQ(size.width, 11);
    EXPECT_EQ(size.height, 10);
  }
}

TEST(Images, ForeignBytesAreRefused) {
  expect_refused("", "0 bytes that are no picture");
  expect_refused("hello", "no picture of a known format");
  expect_refused("<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture of a known format");
  EXPECT_THROW(read_image("/nothing/there.png"), UserError);
}

TEST(Images, CompositingMixesWithTheGround) {
  Image image = make_image(1, 1, 4);
  image.pixels = {100, 0, 200, 128};
  EXPECT_EQ(composite(image, 255, 255, 255).pixels, Pixels({177, 127, 227}));
}

}  // namespace
}  // namespace i1
