// What the captions of a set are like: their lengths, scripts and words.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace i1 {

struct CaptionStatistics {
  int64_t num_captions = 0, num_words = 0, num_characters = 0;
  std::map<int64_t, int64_t> by_words;            ///< captions of so many words
  std::map<int64_t, int64_t> by_tokens;           ///< of those that were tokenized
  std::map<int64_t, int64_t> captions_a_picture;  ///< pictures with so many captions
  std::map<std::string, int64_t> by_script;       ///< captions by what most letters of each are of
  std::unordered_map<std::string, int64_t> vocabulary;  ///< how often each word comes

  /// Words are what lies between blanks, without punctuation around it, in lower case (A-Z only).
  void add(std::string_view caption);
  void add_tokens(int64_t num_tokens) { ++by_tokens[num_tokens]; }
  void add(const CaptionStatistics& other);

  /// The most frequent words; of equal ones the first in the order of their bytes.
  std::vector<std::pair<std::string, int64_t>> top_words(size_t count) const;
};

/// The smallest length that `share` of the captions do not exceed; 0 where there is none.
int64_t quantile(const std::map<int64_t, int64_t>& lengths, double share);

/// The script that most letters of a text are of, by Unicode block: "Latin", "Cyrillic", "Han",
/// ...; "other", or "none" where there is no letter. Scripts are no languages: English and French
/// are both Latin.
std::string main_script(std::string_view text);

}  // namespace i1
