// Text to token ids and back, from the files that language models come with.
//
// The road of a text: added tokens (control tokens, markup) are cut out of it, leftmost and
// longest; what lies between is normalised (a space becomes U+2581) and goes through byte-pair
// encoding.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "i1/text/bpe.h"

namespace i1 {

/// What goes around the tokens of a prompt; from tokenizer_config.json. Without that file: nothing
/// is added, padding is on the right. (Whatever a post-processor in tokenizer.json adds is left
/// out: i1's models see the text alone.)
struct TokenizerSettings {
  bool add_bos = false, add_eos = false;
  bool pad_left = false;
  int64_t bos_id = -1, eos_id = -1;  ///< -1: the vocabulary has none
  int64_t pad_id = 0;
};

/// A prompt at a fixed length.
struct PaddedIds {
  std::vector<int64_t> ids;
  std::vector<uint8_t> mask;  ///< 1 = token of the prompt, also where its id is the padding id
  int64_t num_tokens = 0;     ///< before truncation
};

/// Texts cut out of others, leftmost first, the longest of those that start at one place.
class TextMatcher {
 public:
  void add(const std::string& text, PieceId id);

  struct Match {
    size_t begin = 0, length = 0;  ///< length 0: none
    PieceId id = -1;
  };
  Match find(std::string_view text, size_t from) const;

 private:
  struct Node {
    std::map<char, size_t> children;
    PieceId id = -1;
  };
  std::vector<Node> nodes_ = std::vector<Node>(1);
};

struct Replacement {
  std::string from, to;
};

class Tokenizer {
 public:
  static constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

  /// The ids of `text`, with bos and eos as the settings say, at most `max_tokens` in all (the
  /// first ones are kept). Any bytes are accepted: those that are not UTF-8 become byte pieces.
  std::vector<int64_t> encode(std::string_view text, size_t max_tokens = kNoLimit) const;

  /// `encode`, cut and padded to `length`.
  PaddedIds encode_padded(std::string_view text, int64_t length) const;

  /// The text of `ids`; runs of byte pieces that are no UTF-8 become one U+FFFD a byte.
  /// `skip_special` leaves control tokens out. Throws UserError for an id outside the vocabulary.
  std::string decode(std::span<const int64_t> ids, bool skip_special = false) const;

  const TokenizerSettings& settings() const { return settings_; }
  int64_t vocabulary_size() const { return static_cast<int64_t>(bpe_.pieces.size()); }
  const std::string& piece(int64_t id) const;  ///< UserError outside the vocabulary
  std::optional<int64_t> id(std::string_view piece) const;

 private:
  friend Tokenizer parse_tokenizer_json(std::string_view bytes, const std::string& where);
  friend Tokenizer parse_sentencepiece_model(std::string_view bytes, const std::string& where);
  friend Tokenizer load_tokenizer(const std::filesystem::path& path);

  std::string normalize(std::string_view text) const;

  BpeModel bpe_;
  TextMatcher added_;
  bool normalize_first_ = false;  ///< SentencePiece looks for added tokens after normalising
  std::vector<Replacement> normalizer_, decoder_;
  std::set<int64_t> special_ids_;
  TokenizerSettings settings_;
};

/// Reads a tokenizer: a folder with tokenizer.json or tokenizer.model (the first that is there), or
/// one of the two files; and the tokenizer_config.json beside it. Throws UserError (file, what was
/// found, what is supported) for damaged files and for pipelines other than Gemma's.
Tokenizer load_tokenizer(const std::filesystem::path& path);

/// The two formats, without tokenizer_config.json: Hugging Face's, and SentencePiece's
/// (sentencepiece_model.proto; byte-pair models with an identity normaliser). `where` opens the
/// messages.
Tokenizer parse_tokenizer_json(std::string_view bytes, const std::string& where);
Tokenizer parse_sentencepiece_model(std::string_view bytes, const std::string& where);

}  // namespace i1
