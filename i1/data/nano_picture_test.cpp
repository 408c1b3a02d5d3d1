#include "i1/data/nano_picture.h"

#include <gtest/gtest.h>

#include "i1/core/files.h"
#include "i1/data/nano_fixture.h"
#include "i1/data/nano_objects.h"
#include "i1/data/nano_scenes.h"
#include "i1/data/nano_set.h"
#include "i1/data/nano_sheet.h"

namespace i1 {
namespace {

std::array<int, 3> rgb_at(const Image& picture, int x, int y) {
  const uint8_t* at = picture.row(y) + x * picture.channels;
  return {at[0], at[1], at[2]};
}

// A filled rectangle of one colour in a transparent picture.
Image rectangle(int width, int height, Box box, Color color, uint8_t alpha = 255) {
  Image image = make_image(width, height, 4);
  for (int y = static_cast<int>(box.top); y < box.top + box.height; ++y) {
    for (int x = static_cast<int>(box.left); x < box.left + box.width; ++x) {
      uint8_t* at = image.row(y) + x * 4;
      at[0] = color.red, at[1] = color.green, at[2] = color.blue, at[3] = alpha;
    }
  }
  return to_sprite(image);
}

TEST(NanoPicture, HiddenColourUnderTransparencyNeverShows) {
  Image image = make_image(8, 8, 4);
  for (size_t i = 0; i < image.pixels.size(); i += 4) image.pixels[i] = 255;  // red, alpha 0
  const Image sprite = to_sprite(image);
  const Image large = resize_sprite(sprite, 16, 16);
  Image picture = filled(16, 16, kWhite);
  place(picture, large, 0, 0);
  EXPECT_EQ(picture.pixels, filled(16, 16, kWhite).pixels);
}

TEST(NanoPicture, HalfTransparentMixesWithTheGround) {
  const Image sprite = rectangle(4, 4, {0, 0, 4, 4}, {255, 0, 0}, 128);
  Image picture = filled(4, 4, {0, 0, 255});
  place(picture, sprite, 0, 0);
  const auto pixel = rgb_at(picture, 1, 1);
  EXPECT_NEAR(pixel[0], 128, 1);
  EXPECT_EQ(pixel[1], 0);
  EXPECT_NEAR(pixel[2], 127, 1);
}

TEST(NanoPicture, TrimFindsWhatIsVisible) {
  const Image trimmed = trim(rectangle(20, 30, {3, 5, 7, 11}, {1, 2, 3}));
  EXPECT_EQ(trimmed.width, 7);
  EXPECT_EQ(trimmed.height, 11);
  EXPECT_THROW(trim(make_image(5, 5, 4)), LeftOut);
}

TEST(NanoPicture, FitKeepsTheAspect) {
  const Image wide = rectangle(40, 10, {0, 0, 40, 10}, {9, 9, 9});
  EXPECT_EQ(fit_sprite(wide, 20, 20).width, 20);
  EXPECT_EQ(fit_sprite(wide, 20, 20).height, 5);
  EXPECT_EQ(fit_sprite(wide, 100, 12).height, 12);
  EXPECT_EQ(fit_sprite(rectangle(400, 1, {0, 0, 400, 1}, {9, 9, 9}), 20, 20).height, 1);
}

TEST(NanoPicture, CentredLeavesEqualMargins) {
  const Image picture = centred(rectangle(10, 10, {0, 0, 10, 10}, {0, 0, 0}), 100, 0.5, kWhite);
  EXPECT_EQ(rgb_at(picture, 24, 50)[0], 255);
  EXPECT_EQ(rgb_at(picture, 25, 50)[0], 0);
  EXPECT_EQ(rgb_at(picture, 74, 50)[0], 0);
  EXPECT_EQ(rgb_at(picture, 75, 50)[0], 255);
}

TEST(NanoPicture, PlaceCutsAtTheEdges) {
  const Image sprite = rectangle(6, 6, {0, 0, 6, 6}, {0, 0, 0});
  Image picture = filled(4, 4, kWhite);
  place(picture, sprite, 2, -3);
  EXPECT_EQ(rgb_at(picture, 1, 0)[0], 255);
  EXPECT_EQ(rgb_at(picture, 2, 0)[0], 0);
  EXPECT_EQ(rgb_at(picture, 3, 2)[0], 0);
  EXPECT_EQ(rgb_at(picture, 3, 3)[0], 255);
  place(picture, sprite, 50, 50);  // wholly outside
}

TEST(NanoPicture, PadSurroundsWithNothing) {
  const Image padded = pad_sprite(rectangle(2, 2, {0, 0, 2, 2}, {7, 7, 7}), 6, 4);
  EXPECT_EQ(padded.width, 6);
  EXPECT_EQ(padded.row(0)[3], 0);
  EXPECT_EQ(padded.row(1)[2 * 4 + 3], 255);
}

TEST(NanoPicture, BadFilesAreLeftOutByReason) {
  const std::filesystem::path folder = fresh_folder("bad_pictures");
  put_file(folder / "text.png", "not a picture");
  EXPECT_THROW(read_sprite(folder / "text.png"), LeftOut);
  EXPECT_THROW(draw_svg("<svg", 8, 8), LeftOut);
  EXPECT_THROW(draw_svg("", 8, 8), LeftOut);
}

TEST(NanoPicture, RecolouringKeepsShadeAndOtherColours) {
  // Light and dark red, and a strip of strong green.
  Image image = make_image(30, 10, 4);
  for (int y = 0; y < 10; ++y) {
    for (int x = 0; x < 30; ++x) {
      uint8_t* at = image.row(y) + x * 4;
      at[0] = x < 14 ? 230 : x < 28 ? 120 : 20;
      at[1] = x < 28 ? 10 : 200;
      at[2] = 10, at[3] = 255;
    }
  }
  const Image sprite = to_sprite(image);
  const auto hue = single_hue(sprite);
  ASSERT_TRUE(hue.has_value());
  const Image blue = recolor(sprite, *hue, {40, 90, 215});
  const auto light = rgb_at(blue, 5, 5), dark = rgb_at(blue, 20, 5), other = rgb_at(blue, 29, 5);
  EXPECT_GT(light[2], light[0] + 60);
  EXPECT_GT(dark[2], dark[0]);
  EXPECT_LT(dark[2], light[2]) << "shade is kept";
  EXPECT_EQ(other, (std::array<int, 3>{20, 200, 10}));
}

TEST(NanoPicture, ManyColouredAndGreyThingsHaveNoSingleHue) {
  Image image = make_image(20, 20, 4);
  for (int i = 0; i < 400; ++i) {
    uint8_t* at = image.pixels.data() + i * 4;
    at[i % 20 < 10 ? 0 : 2] = 220;  // half red, half blue
    at[3] = 255;
  }
  EXPECT_FALSE(single_hue(to_sprite(image)).has_value());
  EXPECT_FALSE(single_hue(rectangle(9, 9, {0, 0, 9, 9}, {128, 128, 128})).has_value());
  EXPECT_FALSE(single_hue(make_image(9, 9, 4)).has_value());
  EXPECT_NEAR(*single_hue(rectangle(9, 9, {0, 0, 9, 9}, {10, 200, 10})), 120, 30);
}

TEST(NanoSheet, LinesBreakAtSpaces) {
  EXPECT_EQ(wrap_lines("a red apple on a plate", 11, 4),
            (std::vector<std::string>{"a red apple", "on a plate"}));
  EXPECT_EQ(wrap_lines("one two three four", 5, 2), (std::vector<std::string>{"one", "tw..."}));
  EXPECT_EQ(wrap_lines("abcdefghij", 4, 2), (std::vector<std::string>{"abcd"}));
  EXPECT_TRUE(wrap_lines("", 5, 2).empty());
}

TEST(NanoSheet, TextIsSafeInSvg) {
  EXPECT_EQ(escape_xml("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
}

TEST(NanoSheet, PicturesStandInRows) {
  std::vector<std::pair<Image, std::string>> pictures(3, {filled(32, 32, {255, 0, 0}), "red & <>"});
  const Image sheet = make_sheet(pictures, 2);
  EXPECT_GT(sheet.width, 64);
  EXPECT_EQ(rgb_at(sheet, 6 + 16, 6 + 16), (std::array<int, 3>{255, 0, 0}));
  EXPECT_EQ(rgb_at(sheet, 6 + 38 + 16, 6 + 16), (std::array<int, 3>{255, 0, 0}));
  EXPECT_NE(rgb_at(sheet, 6 + 38 + 16, sheet.height - 70), (std::array<int, 3>{255, 0, 0}));
}

}  // namespace
}  // namespace i1
