// Definitions and plain words: WordNet's nouns (Debian wordnet-base) and a word list (wamerican).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace i1 {

class Glosses {
 public:
  /// Throws UserError where WordNet's files are missing.
  explicit Glosses(const std::filesystem::path& sources);

  /// What a noun means, up to the first semicolon, without examples: "short-legged flightless birds
  /// of cold southern especially Antarctic regions". The first sense that belongs to one of the
  /// lexicographer files `kinds` (5 animal, 6 artifact, 8 body, 13 food, 17 object, 18 person,
  /// 19 phenomenon, 20 plant): a bat of the group of animals is no club. None where the noun is
  /// unknown, has no such sense, or its gloss is longer than 20 words.
  std::optional<std::string> find(std::string_view noun, const std::vector<int>& kinds) const;

  /// How often each word (letters a-z only) occurs in all definitions: a rough measure of how
  /// common it is.
  std::unordered_map<std::string, int64_t> word_counts() const;

 private:
  std::string data_;
  std::unordered_map<std::string, std::vector<size_t>> senses_;  // offsets into data_
};

/// The words of wamerican with 2 to `max_size` letters a-z and nothing else that occur at least
/// `min_count` times in WordNet's definitions, sorted.
std::vector<std::string> read_common_words(const std::filesystem::path& sources, size_t max_size,
                                           int64_t min_count);

}  // namespace i1
