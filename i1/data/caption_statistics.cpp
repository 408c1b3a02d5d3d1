#include "i1/data/caption_statistics.h"

#include <algorithm>

#include "i1/core/utf8.h"

namespace i1 {
namespace {

struct Block {
  uint32_t first, last;
  const char* script;
};

constexpr const char *kNone = "none", *kOther = "other";

// Unicode 15's blocks of letters, those of one script side by side taken together. What lies in
// none of them and is no sign (punctuation, symbols, emoji) counts as "other".
constexpr Block kBlocks[] = {
    {'A', 'Z', "Latin"},        {'a', 'z', "Latin"},          {0x00c0, 0x024f, "Latin"},
    {0x0370, 0x03ff, "Greek"},  {0x0400, 0x052f, "Cyrillic"}, {0x0590, 0x05ff, "Hebrew"},
    {0x0600, 0x06ff, "Arabic"}, {0x0750, 0x077f, "Arabic"},   {0x0900, 0x097f, "Devanagari"},
    {0x0e00, 0x0e7f, "Thai"},   {0x1100, 0x11ff, "Hangul"},   {0x1e00, 0x1eff, "Latin"},
    {0x3040, 0x30ff, "Kana"},   {0x3130, 0x318f, "Hangul"},   {0x3400, 0x4dbf, "Han"},
    {0x4e00, 0x9fff, "Han"},    {0xac00, 0xd7af, "Hangul"},   {0xf900, 0xfaff, "Han"},
    {0x20000, 0x3ffff, "Han"}};
constexpr Block kSigns[] = {{0, 0xbf, ""},          {0x0300, 0x036f, ""}, {0x2000, 0x2bff, ""},
                            {0x3000, 0x303f, ""},   {0xe000, 0xf8ff, ""}, {0xfe00, 0xfe0f, ""},
                            {0xff00, 0xff0f, ""},   {0xfff0, 0xffff, ""}, {0x1f000, 0x1faff, ""},
                            {0xe0000, 0x10ffff, ""}};

const char* script_of(uint32_t character) {
  const auto holds = [&](const Block& block) {
    return block.first <= character && character <= block.last;
  };
  const auto* found = std::find_if(std::begin(kBlocks), std::end(kBlocks), holds);
  if (found != std::end(kBlocks)) return found->script;
  return std::any_of(std::begin(kSigns), std::end(kSigns), holds) ? kNone : kOther;
}

// Calls visit(character) for each; bytes that are no UTF-8 are passed over.
template <class Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    uint32_t character = static_cast<unsigned char>(text[0]);
    if (length > 1) character &= 0xff >> (length + 1);
    for (size_t i = 1; i < length; ++i)
      character = character << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
    if (length > 0) visit(character);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
}

bool is_mark(char letter) {
  return (letter >= '!' && letter <= '/') || (letter >= ':' && letter <= '@') ||
         (letter >= '[' && letter <= '`') || (letter >= '{' && letter <= '~');
}

std::string plain_word(std::string_view word) {
  while (!word.empty() && is_mark(word.front())) word.remove_prefix(1);
  while (!word.empty() && is_mark(word.back())) word.remove_suffix(1);
  std::string plain(word);
  for (char& letter : plain)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return plain;
}

}  // namespace

void CaptionStatistics::add(std::string_view caption) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  int64_t count = 0;
  for (size_t begin = caption.find_first_not_of(kBlanks); begin != std::string_view::npos;) {
    const size_t end = std::min(caption.find_first_of(kBlanks, begin), caption.size());
    const std::string word = plain_word(caption.substr(begin, end - begin));
    if (!word.empty()) ++vocabulary[word], ++count;
    begin = caption.find_first_not_of(kBlanks, end);
  }
  ++num_captions;
  num_words += count;
  ++by_words[count];
  for_each_character(caption, [&](uint32_t) { ++num_characters; });
  ++by_script[main_script(caption)];
}

void CaptionStatistics::add(const CaptionStatistics& other) {
  num_captions += other.num_captions;
  num_words += other.num_words;
  num_characters += other.num_characters;
  const auto join = [](auto& all, const auto& more) {
    for (const auto& [value, count] : more) all[value] += count;
  };
  join(by_words, other.by_words);
  join(by_tokens, other.by_tokens);
  join(captions_a_picture, other.captions_a_picture);
  join(by_script, other.by_script);
  join(vocabulary, other.vocabulary);
}

std::vector<std::pair<std::string, int64_t>> CaptionStatistics::top_words(size_t count) const {
  std::vector<std::pair<std::string, int64_t>> words(std::min(count, vocabulary.size()));
  std::partial_sort_copy(vocabulary.begin(), vocabulary.end(), words.begin(), words.end(),
                         [](const auto& a, const auto& b) {
                           return a.second != b.second ? a.second > b.second : a.first < b.first;
                         });
  return words;
}

int64_t quantile(const std::map<int64_t, int64_t>& lengths, double share) {
  int64_t total = 0, seen = 0;
  for (const auto& [length, count] : lengths) total += count;
  for (const auto& [length, count] : lengths) {
    seen += count;
    if (static_cast<double>(seen) >= share * static_cast<double>(total)) return length;
  }
  return 0;
}

std::string main_script(std::string_view text) {
  std::map<std::string_view, int64_t> counts;
  for_each_character(text, [&](uint32_t character) { ++counts[script_of(character)]; });
  counts.erase(kNone);
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(most == counts.end() ? kNone : most->first);
}

}  // namespace i1
