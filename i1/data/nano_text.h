// The `text` set: letters, numbers and one to three words in many fonts and colours.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "i1/data/nano_set.h"

namespace i1 {

struct TextFont {
  const char* family;
  const char* weight;  ///< "normal" or "bold"
  const char* look;    ///< how captions call it: "serif", "handwritten"
};

/// One picture of the set before it is drawn.
struct WrittenText {
  std::vector<std::string> lines;  ///< as written, one word each
  TextFont font{};
  size_t color = 0, ground = 0;  ///< indices into kColors, of clearly different lightness
  double share = 0;              ///< of the side that the text fills
};

/// Number `index` of the training texts, whose words are never hidden, or of the held-out ones,
/// whose words all are.
WrittenText plan_text(const std::vector<std::string>& words, int64_t index, bool is_held_out);

/// 'the word "HELLO" in blue letters', then with font and ground, then two other ways.
std::vector<std::string> text_captions(const WrittenText& text);

Image draw_text(const WrittenText& text, int size);

struct TextSets {
  NanoSet text, heldout_text;
};
/// Throws UserError where words or fonts are missing.
TextSets make_text_sets(const std::filesystem::path& sources, int64_t num_texts,
                        int64_t num_held_out);

}  // namespace i1
