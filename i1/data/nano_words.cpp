#include "i1/data/nano_words.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "i1/core/files.h"
#include "i1/data/nano_names.h"

namespace i1 {
namespace {

constexpr int64_t kMaxGlossWords = 20;

// Common in definitions of medicine and law, out of place in a picture for everybody.
const WordSet kUnwantedWords = word_set(
    "sperm|sex|sexual|sexually|penis|vagina|genital|genitals|erotic|nude|naked|"
    "urine|urinary|feces|anus|rectum|rape|murder|kill|killed|killing|kills|slave|"
    "slaves|slavery|suicide|cancer|abortion|uterus|prostitute|prostitution|semen|"
    "testis|ovary|breast|breasts");

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

template <class Number>
Number to_number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "(of animals) a bird; `a fine bird'" -> "a bird"
std::string first_part(std::string_view gloss) {
  std::string text = plain_text(gloss.substr(0, gloss.find(';')));
  while (text.starts_with('(') && text.find(')') != std::string::npos)
    text = plain_text(std::string_view(text).substr(text.find(')') + 1));
  return text;
}

}  // namespace

Glosses::Glosses(const std::filesystem::path& sources) {
  const std::filesystem::path folder = sources / "wordnet-base/usr/share/wordnet";
  data_ = read_file(folder / "data.noun");
  const std::string index = read_file(folder / "index.noun");
  std::string_view rest = index;
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    if (line.starts_with(' ')) continue;  // the licence
    // lemma n senses pointers... senses tagged offset...
    const std::vector<std::string> fields = split_trimmed(line, ' ');
    if (fields.size() < 6) continue;
    const auto num_senses = to_number<size_t>(fields[2]);
    std::vector<size_t>& offsets = senses_[fields[0]];
    for (size_t i = fields.size() - std::min(num_senses, fields.size()); i < fields.size(); ++i)
      offsets.push_back(to_number<size_t>(fields[i]));
  }
}

std::optional<std::string> Glosses::find(std::string_view noun,
                                         const std::vector<int>& kinds) const {
  std::string lemma = to_lower(noun);
  std::replace(lemma.begin(), lemma.end(), ' ', '_');
  const auto found = senses_.find(lemma);
  if (found == senses_.end()) return std::nullopt;
  for (const size_t offset : found->second) {
    if (offset >= data_.size()) continue;
    std::string_view rest = std::string_view(data_).substr(offset);
    const std::string_view line = next_line(rest);
    const size_t bar = line.find("| ");
    if (line.size() < 12 || bar == std::string_view::npos) continue;
    const int kind = to_number<int>(line.substr(9, 2));
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) continue;
    std::string gloss = first_part(line.substr(bar + 2));
    if (gloss.empty() || count_words(gloss) > kMaxGlossWords) return std::nullopt;
    return gloss;
  }
  return std::nullopt;
}

std::unordered_map<std::string, int64_t> Glosses::word_counts() const {
  std::unordered_map<std::string, int64_t> counts;
  std::string_view rest = data_;
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    const size_t bar = std::min(line.find("| "), line.size());
    std::string word;
    for (const char letter : std::string(line.substr(bar)) + " ") {
      if (letter >= 'a' && letter <= 'z') {
        word += letter;
      } else if (!word.empty()) {
        ++counts[word];
        word.clear();
      }
    }
  }
  return counts;
}

std::vector<std::string> read_common_words(const std::filesystem::path& sources, size_t max_size,
                                           int64_t min_count) {
  const auto counts = Glosses(sources).word_counts();
  const std::string text = read_file(sources / "wamerican/usr/share/dict/american-english");
  std::vector<std::string> words;
  for (std::string& word : split_trimmed(text, '\n')) {
    const auto found = counts.find(word);
    if (found != counts.end() && found->second >= min_count && word.size() >= 2 &&
        word.size() <= max_size && !kUnwantedWords.contains(word))
      words.push_back(std::move(word));
  }
  std::sort(words.begin(), words.end());
  return words;
}

}  // namespace i1
