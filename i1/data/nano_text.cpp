#include "i1/data/nano_text.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "i1/core/error.h"
#include "i1/data/nano_key.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_picture.h"
#include "i1/data/nano_sheet.h"
#include "i1/data/nano_split.h"
#include "i1/data/nano_words.h"

namespace i1 {
namespace {

constexpr size_t kMaxLetters = 9;
constexpr int64_t kMinCount = 25;      // occurrences in WordNet's definitions
constexpr double kMinContrast = 0.25;  // difference of lightness, of 1
constexpr double kWhiteGroundShare = 0.4;

// Families of the fifteen packages, those with clear shapes; bold ones stay readable at 64 pixels.
constexpr std::array<TextFont, 26> kFonts = {{{"DejaVu Sans", "normal", "plain"},
                                              {"DejaVu Sans", "bold", "bold"},
                                              {"DejaVu Serif", "bold", "bold serif"},
                                              {"DejaVu Sans Mono", "bold", "monospaced"},
                                              {"Liberation Sans", "bold", "bold"},
                                              {"Liberation Serif", "normal", "serif"},
                                              {"Liberation Serif", "bold", "bold serif"},
                                              {"Nimbus Sans", "bold", "bold"},
                                              {"Nimbus Mono PS", "bold", "typewriter"},
                                              {"C059", "bold", "bold serif"},
                                              {"URW Bookman", "normal", "serif"},
                                              {"URW Gothic", "normal", "round"},
                                              {"Z003", "normal", "script"},
                                              {"Lato", "bold", "bold"},
                                              {"Open Sans", "normal", "plain"},
                                              {"Open Sans", "bold", "bold"},
                                              {"Cantarell", "bold", "bold"},
                                              {"EB Garamond", "normal", "serif"},
                                              {"Old Standard TT", "bold", "bold serif"},
                                              {"Inconsolata", "normal", "monospaced"},
                                              {"Comic Neue", "bold", "comic"},
                                              {"Lobster Two", "normal", "script"},
                                              {"Comfortaa", "bold", "round"},
                                              {"Humor Sans", "normal", "handwritten"},
                                              {"Play", "bold", "bold"},
                                              {"Breip", "normal", "handwritten"}}};

double lightness(Color color) {
  return (0.299 * color.red + 0.587 * color.green + 0.114 * color.blue) / 255;
}

std::string in_case(std::string word, int64_t which) {
  for (size_t i = 0; i < word.size(); ++i) {
    if (which == 0 || (which == 1 && i == 0))
      word[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[i])));
  }
  return word;
}

const std::string& draw_word(const std::vector<std::string>& words, KeyDraws& draws,
                             bool is_hidden) {
  for (int i = 0; i < 10000; ++i) {
    const std::string& word = draws.pick(words);
    if (is_word_hidden(word) == is_hidden) return word;
  }
  throw Failure("text: no word on this side of the split");
}

// 'word "HELLO"', 'letter "A"', 'number "42"', 'words "HELLO WORLD"'.
std::string quoted(const WrittenText& text) {
  std::string whole;
  for (const std::string& line : text.lines) whole += (whole.empty() ? "" : " ") + line;
  const bool is_number = std::isdigit(static_cast<unsigned char>(whole[0])) != 0;
  const char* kind = is_number               ? "number"
                     : text.lines.size() > 1 ? "words"
                     : whole.size() == 1     ? "letter"
                                             : "word";
  return concat(kind, " \"", whole, "\"");
}

}  // namespace

WrittenText plan_text(const std::vector<std::string>& words, int64_t index, bool is_held_out) {
  KeyDraws draws(concat(is_held_out ? "heldout_text/" : "text/", index));
  WrittenText text;
  const double kind = draws.uniform();
  const int64_t letter_case = draws.index(3);
  if (!is_held_out && kind < 0.12) {
    text.lines = {in_case(std::string(1, static_cast<char>('a' + draws.index(26))), letter_case)};
  } else if (!is_held_out && kind < 0.2) {
    text.lines = {std::to_string(draws.index(draws.chance(0.5) ? 10 : 100))};
  } else {
    const int num_words = is_held_out || kind < 0.72 ? 1 : kind < 0.91 ? 2 : 3;
    for (int i = 0; i < num_words; ++i)
      text.lines.push_back(in_case(draw_word(words, draws, is_held_out), letter_case));
  }
  text.font = kFonts[static_cast<size_t>(draws.index(std::ssize(kFonts)))];
  do {
    text.color = static_cast<size_t>(draws.index(std::ssize(kColors)));
    text.ground = draws.chance(kWhiteGroundShare)
                      ? kColors.size() - 1
                      : static_cast<size_t>(draws.index(std::ssize(kColors)));
  } while (std::fabs(lightness(kColors[text.color].color) - lightness(kColors[text.ground].color)) <
           kMinContrast);
  text.share = text.lines[0].size() <= 2 && text.lines.size() == 1 ? draws.uniform(0.5, 0.8)
                                                                   : draws.uniform(0.78, 0.94);
  return text;
}

std::vector<std::string> text_captions(const WrittenText& text) {
  const std::string color = kColors[text.color].name, words = quoted(text), look = text.font.look;
  const std::string ground =
      " on " + with_article(std::string(kColors[text.ground].name) + " background");
  const std::string said = words.substr(words.find('"'));
  return {concat("the ", words, " in ", color, " letters"),
          concat("the ", words, " in ", color, " ", look, " letters", ground),
          concat(color, " text that says ", said, ground),
          concat("the text ", said, ", ", color, " on ", kColors[text.ground].name)};
}

Image draw_text(const WrittenText& text, int size) {
  // Drawn large with room on all sides, cut to its ink, then brought to size: whatever the font's
  // measures, nothing is lost.
  constexpr int kFontUnits = 100, kLineUnits = 112, kRoom = 80;
  size_t longest = 1;
  for (const std::string& line : text.lines) longest = std::max(longest, line.size());
  const int width = static_cast<int>(longest) * kFontUnits + 2 * kRoom;
  const int height = static_cast<int>(text.lines.size()) * kLineUnits + 2 * kRoom;
  std::string body =
      concat("<g font-family=\"", text.font.family, "\" font-weight=\"", text.font.weight,
             "\" font-size=\"", kFontUnits, "\" text-anchor=\"middle\">");
  int y = kRoom + kFontUnits;
  for (const std::string& line : text.lines) {
    body += concat("<text x=\"", width / 2, "\" y=\"", y, "\">", escape_xml(line), "</text>");
    y += kLineUnits;
  }
  const double scale = 2.5 * size / width;
  const Image ink =
      trim(draw_svg(wrap_svg(body + "</g>", width, height), static_cast<int>(width * scale),
                    static_cast<int>(height * scale)));
  return centred(paint_sprite(ink, kColors[text.color].color), size, text.share,
                 kColors[text.ground].color);
}

TextSets make_text_sets(const std::filesystem::path& sources, int64_t num_texts,
                        int64_t num_held_out) {
  check_user(std::filesystem::is_directory(sources / "fonts-dejavu-core"), sources.string(),
             ": no fonts there; fetch the packages with tools/fetch_nano_data.sh");
  const std::vector<std::string> words = read_common_words(sources, kMaxLetters, kMinCount);
  check_user(words.size() >= 1000, "text: only ", words.size(),
             " common words found; fetch wamerican and wordnet-base again");
  TextSets sets;
  sets.text.name = "text";
  sets.heldout_text.name = "heldout_text";
  const auto add = [&](NanoSet& set, int64_t count, bool is_held_out) {
    for (int64_t i = 0; i < count; ++i) {
      const WrittenText text = plan_text(words, i, is_held_out);
      NanoItem item;
      item.name = concat(set.name, "/", i);
      item.captions = text_captions(text);
      item.metadata = {{"lines", text.lines},
                       {"font", text.font.family},
                       {"color", kColors[text.color].name},
                       {"background", kColors[text.ground].name},
                       {"is_held_out", is_held_out}};
      item.draw = [text](int size) { return draw_text(text, size); };
      set.items.push_back(std::move(item));
    }
  };
  add(sets.text, num_texts, false);
  add(sets.heldout_text, num_held_out, true);
  return sets;
}

}  // namespace i1
