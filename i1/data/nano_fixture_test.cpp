#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "i1/data/nano_fixture.h"
#include "i1/data/nano_picture.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// 16 x 16 red pixels, lossless.
constexpr unsigned char kWebp[] = {'R',  'I',  'F',  'F',  0x18, 0,    0,    0,    'W',  'E',  'B',
                                   'P',  'V',  'P',  '8',  'L',  0x0c, 0,    0,    0,    0x2f, 0x0f,
                                   0xc0, 0x03, 0x00, 0x28, 0x4a, 0xc1, 0x0b, 0xd2, 0xff, 0x00};

std::string webp() { return {reinterpret_cast<const char*>(kWebp), sizeof kWebp}; }

const char* const kTones[] = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"};
const char* const kToneNames[] = {"light", "medium-light", "medium", "medium-dark", "dark"};

json entry(const std::string& label, const std::string& code, int group, double version) {
  return {{"label", label},
          {"hexcode", code},
          {"tags", json::array({"5", "useful", "red"})},
          {"group", group},
          {"version", version}};
}

json cook(const std::string& label, const std::string& person) {
  json base = entry(label, person + "-200D-1F373", 1, 4);
  for (int tone = 0; tone < 5; ++tone) {
    json skin = entry(label + ": " + kToneNames[tone] + " skin tone",
                      person + "-" + kTones[tone] + "-200D-1F373", 1, 4);
    base["skins"].push_back(skin);
  }
  return base;
}

// The animals have one-letter-pair names and private code points F0000...
std::string animal_code(int i) {
  char code[16];
  std::snprintf(code, sizeof code, "F%04X", i);
  return code;
}

json all_emoji() {
  json emoji = {cook("cook", "1F9D1"),
                cook("woman cook", "1F469"),
                cook("man cook", "1F468"),
                entry("penguin", "1F427", 3, 0.6),
                entry("flag: Kenya", "1F1F0-1F1EA", 9, 2),
                entry("red apple", "1F34E", 4, 0.6),
                entry("sunset", "1F307", 5, 0.6),
                entry("shaking face", "1FAE8", 0, 15)};
  for (int i = 0; i < 150; ++i) {
    const std::string letters = {static_cast<char>('a' + i / 26), static_cast<char>('a' + i % 26)};
    emoji.push_back(entry("animal " + letters, animal_code(i), 3, 1));
  }
  return emoji;
}

std::vector<std::string> all_codes(const json& emoji) {
  std::vector<std::string> codes;
  for (const json& one : emoji) {
    codes.push_back(one["hexcode"]);
    if (!one.contains("skins")) continue;
    for (const json& skin : one["skins"]) codes.push_back(skin["hexcode"]);
  }
  return codes;
}

std::string lower(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::tolower(letter));
  return text;
}

void put_emoji(const fs::path& sources) {
  const json emoji = all_emoji();
  put_file(sources / "emojibase-data/en/data.json", emoji.dump());
  json groups = json::array();
  const char* const names[] = {"smileys-emotion", "people-body",   "component",  "animals-nature",
                               "food-drink",      "travel-places", "activities", "objects",
                               "symbols",         "flags"};
  for (int i = 0; i < 10; ++i) groups.push_back({{"key", names[i]}, {"order", i}});
  put_file(sources / "emojibase-data/en/messages.json", json{{"groups", groups}}.dump());

  const std::string red =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 72 72\">"
      "<circle cx=\"36\" cy=\"36\" r=\"24\" fill=\"#e02020\"/></svg>";
  const auto own = [](const char* code, const char* name, const char* group) {
    return json{{"hexcode", code},          {"annotation", name}, {"tags", "useful, own"},
                {"openmoji_tags", "other"}, {"group", group},     {"subgroups", "brand"}};
  };
  put_file(
      sources / "openmoji/data/openmoji.json",
      json{own("E000", "firefox", "extras-openmoji"), own("1F427", "penguin", "animals")}.dump());
  put_file(sources / "openmoji/color/svg/E000.svg", red);
  json icons, chars = json::object();
  icons["width"] = icons["height"] = 36;
  icons["icons"]["dot"]["body"] = "<circle cx=\"18\" cy=\"18\" r=\"16\" fill=\"#2040e0\"/>";
  icons["aliases"]["spot"]["parent"] = "dot";
  for (const std::string& code : all_codes(emoji)) {
    put_file(sources / "openmoji/color/svg" / (code + ".svg"), red);
    put_file(sources / "@lobehub/fluent-emoji-3d/assets" / (lower(code) + ".webp"), webp());
    if (code != "1F1F0-1F1EA") chars[lower(code)] = code.size() > 5 ? "spot" : "dot";
  }
  put_file(sources / "@lobehub/fluent-emoji-3d/assets/abcdef.webp", webp());
  put_file(sources / "@iconify-json/noto/icons.json", icons.dump());
  put_file(sources / "@iconify-json/noto/chars.json", chars.dump());
  chars["1f1f0-1f1ea"] = "dot";
  put_file(sources / "@iconify-json/twemoji/icons.json", icons.dump());
  put_file(sources / "@iconify-json/twemoji/chars.json", chars.dump());
  const fs::path google = sources / "emoji-datasource-google/img/google/64";
  put_file(google / "1f1f0-1f1ea.png", encode_png(filled(64, 64, {10, 120, 10})));
}

void put_words(const fs::path& sources) {
  // Offsets in the index are byte positions in the data.
  const std::string bird =
      "00000000 05 n 01 penguin 0 000 | short-legged flightless birds; \"a fine bird\"  \n";
  std::string data = bird + "000000xx 18 n 01 penguin 0 000 | a person in evening dress  \n";
  std::string words, definition = "00000999 06 n 01 thing 0 000 |";
  for (int i = 0; i < 1200; ++i) {
    std::string word = "w";
    for (int rest = i, k = 0; k < 3; ++k, rest /= 26) word += static_cast<char>('a' + rest % 26);
    words += word + "\n";
    for (int k = 0; k < 25; ++k) definition += " " + word;
  }
  data += definition + "\n";
  const fs::path folder = sources / "wordnet-base/usr/share/wordnet";
  put_file(folder / "data.noun", data);
  put_file(folder / "index.noun",
           "  1 a licence\npenguin n 2 1 @ 2 0 " + std::to_string(bird.size()) + " 00000000  \n");
  put_file(sources / "wamerican/usr/share/dict/american-english",
           words + "Hot\ndog\nfood\nmenu\nbird\ntable\nit's\nsex\n");
}

void put_drawings(const fs::path& sources) {
  const fs::path png = sources / "openclipart-png/usr/share/openclipart/png";
  const fs::path svg = sources / "openclipart-svg/usr/share/openclipart/svg";
  const auto picture = [](int width, int height) {
    return encode_png(filled(width, height, {200, 30, 30}));
  };
  put_file(png / "food/hot_dog.png", picture(100, 90));
  put_file(svg / "food/hot_dog.svg",
           "<cc:Work><dc:title>Hot Dog</dc:title><dc:creator><cc:Agent><dc:title>A. Cook</dc:title>"
           "</cc:Agent></dc:creator><rdf:li>food</rdf:li></cc:Work>");
  put_file(png / "food/table_01.png", picture(70, 70));
  put_file(png / "food/tiny.png", picture(30, 30));
  put_file(png / "food/long_bird.png", picture(300, 70));
  put_file(png / "food/zzz.png", picture(80, 80));
  put_file(png / "special/dog.png", picture(80, 80));
  fs::create_symlink("hot_dog.png", png / "food/bird.png");

  const fs::path stamps = sources / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps";
  put_file(stamps / "animals/lion.png", picture(64, 60));
  put_file(stamps / "animals/lion.txt", "A lion.\nde.utf8=Ein L\u00f6we.\n");
  put_file(stamps / "animals/mute.png", picture(64, 60));
  put_file(stamps / "animals/ant.png", picture(20, 20));
  put_file(stamps / "animals/ant.txt", "An ant.");

  json icons;
  icons["icons"]["abstract-001"]["body"] = "<path d=\"M0 0h9v9z\"/>";
  for (const char* icon :
       {"crab-claw", "fox-01", "apple", "sword", "shield", "tower", "key", "cup"})
    icons["icons"][icon]["body"] = "<path d=\"M100 100h312v200H100z\"/>";
  put_file(sources / "@iconify-json/game-icons/icons.json", icons.dump());
}

}  // namespace

void put_file(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

fs::path make_nano_sources(const std::string& name) {
  const fs::path sources = fresh_folder(name);
  put_emoji(sources);
  put_words(sources);
  put_drawings(sources);
  return sources;
}

TEST(NanoFixture, ItsWebpDecodes) {
  const std::string bytes = webp();
  const Image image = decode_image(std::as_bytes(std::span(bytes)), "fixture");
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ(image.height, 16);
  EXPECT_EQ(image.pixels[0], 224);
}

}  // namespace i1
