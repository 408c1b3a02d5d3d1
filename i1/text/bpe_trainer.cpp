#include "i1/text/bpe_trainer.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <queue>
#include <set>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/utf8.h"
#include "i1/text/bpe.h"

namespace i1 {
namespace {

constexpr char kSpace[] = "\xE2\x96\x81";
const std::vector<std::string> kSpecialPieces = {"<pad>", "<eos>", "<bos>", "<unk>"};

struct Word {
  std::vector<PieceId> symbols;
  int64_t count;
};

bool is_letter(std::string_view character) {
  const unsigned char c = static_cast<unsigned char>(character[0]);
  return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Trainer {
 public:
  Trainer(std::span<const std::string> captions, const BpeTrainerOptions& options)
      : options_(options) {
    std::map<std::string, int64_t> counts;
    for (const std::string& caption : captions) {
      for (std::string& word : split_words(caption)) ++counts[std::move(word)];
    }
    add_first_pieces(counts);
    for (const auto& [text, count] : counts) add_word(text, count);
    for (const auto& [pair, count] : pair_counts_) queue_.push({count, pair});
  }

  TrainedBpe run() {
    while (static_cast<int64_t>(trained_.pieces.size()) < options_.vocab_size && !queue_.empty()) {
      check_interrupt();
      const Entry best = queue_.top();
      queue_.pop();
      if (pair_counts_[best.pair] != best.count) continue;  // counted anew since
      if (best.count < options_.min_count) break;
      merge(best.pair);
    }
    return std::move(trained_);
  }

 private:
  using Pair = std::pair<PieceId, PieceId>;

  struct Entry {
    int64_t count;
    Pair pair;

    bool operator<(const Entry& other) const {  // std::priority_queue gives the largest first
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  PieceId piece(const std::string& text) {
    const auto [found, is_new] =
        ids_.try_emplace(text, static_cast<PieceId>(trained_.pieces.size()));
    if (is_new) trained_.pieces.push_back(text);
    return found->second;
  }

  void add_first_pieces(const std::map<std::string, int64_t>& counts) {
    for (const std::string& special : kSpecialPieces) piece(special);
    for (int byte = 0; byte < 256; ++byte) piece(byte_piece(static_cast<unsigned char>(byte)));
    std::map<std::string, int64_t> characters;
    for (char c = '!'; c <= '~'; ++c) characters[std::string(1, c)] = options_.min_count;
    characters[kSpace] = options_.min_count;
    for (const auto& [word, count] : counts) {
      for (size_t i = 0; i < word.size();) {
        const size_t length = utf8_length(std::string_view(word).substr(i));
        characters[word.substr(i, length)] += count;
        i += length;
      }
    }
    // UTF-8 sorts by code point.
    for (const auto& [character, count] : characters)
      if (count >= options_.min_count) piece(character);
    check_user(static_cast<int64_t>(trained_.pieces.size()) <= options_.vocab_size,
               "a vocabulary of ", options_.vocab_size, " pieces: these captions need at least ",
               trained_.pieces.size());
  }

  // A character without a piece cuts the word: it becomes bytes, with which nothing merges.
  void add_word(const std::string& text, int64_t count) {
    Word word{{}, count};
    for (size_t i = 0; i < text.size();) {
      const size_t length = utf8_length(std::string_view(text).substr(i));
      const auto id = ids_.find(text.substr(i, length));
      i += length;
      if (id != ids_.end()) word.symbols.push_back(id->second);
      if (id == ids_.end() || i == text.size()) {
        if (word.symbols.size() > 1) add_pairs(word);
        word.symbols.clear();
      }
    }
  }

  void add_pairs(const Word& word) {
    const size_t index = words_.size();
    words_.push_back(word);
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const Pair pair(word.symbols[i], word.symbols[i + 1]);
      pair_counts_[pair] += word.count;
      words_of_pair_[pair].insert(index);
    }
  }

  void merge(const Pair& pair) {
    const std::string left = trained_.pieces[pair.first], right = trained_.pieces[pair.second];
    const PieceId merged = piece(left + right);
    trained_.merges.emplace_back(left, right);
    std::set<Pair> changed;
    const std::set<size_t> words = std::move(words_of_pair_[pair]);
    for (const size_t index : words) {
      count_pairs(index, -1, changed);
      std::vector<PieceId>& symbols = words_[index].symbols;
      size_t kept = 0;
      for (size_t i = 0; i < symbols.size(); ++i) {
        const bool is_pair =
            i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
        symbols[kept++] = is_pair ? merged : symbols[i];
        if (is_pair) ++i;
      }
      symbols.resize(kept);
      count_pairs(index, 1, changed);
    }
    pair_counts_.erase(pair);
    words_of_pair_.erase(pair);
    changed.erase(pair);
    for (const Pair& other : changed) {
      if (pair_counts_[other] > 0) queue_.push({pair_counts_[other], other});
    }
  }

  void count_pairs(size_t index, int64_t sign, std::set<Pair>& changed) {
    const Word& word = words_[index];
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const Pair pair(word.symbols[i], word.symbols[i + 1]);
      pair_counts_[pair] += sign * word.count;
      if (sign > 0) words_of_pair_[pair].insert(index);
      changed.insert(pair);
    }
  }

  BpeTrainerOptions options_;
  TrainedBpe trained_;
  std::map<std::string, PieceId> ids_;
  std::vector<Word> words_;
  std::map<Pair, int64_t> pair_counts_;
  std::map<Pair, std::set<size_t>> words_of_pair_;  // may name words that have lost the pair
  std::priority_queue<Entry> queue_;
};

nlohmann::ordered_json replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

}  // namespace

std::vector<std::string> split_words(const std::string& caption) {
  std::vector<std::string> words;
  bool takes_letters = false;  // the last word is a space or letters
  for (size_t i = 0; i < caption.size();) {
    const size_t length = utf8_length(std::string_view(caption).substr(i));
    std::string character = caption.substr(i, std::max<size_t>(length, 1));
    i += character.size();
    if (length == 0) {  // a byte that is no character has no piece of its own
      takes_letters = false;
      continue;
    }
    if (character == " ") character = kSpace;
    const bool is_space = character == kSpace;
    if (takes_letters && !is_space && is_letter(character)) {
      words.back() += character;
    } else {
      words.push_back(character);
    }
    takes_letters = is_letter(character);
  }
  return words;
}

TrainedBpe train_bpe(std::span<const std::string> captions, const BpeTrainerOptions& options) {
  return Trainer(captions, options).run();
}

void save_tokenizer(const TrainedBpe& trained, const std::filesystem::path& folder) {
  using Json = nlohmann::ordered_json;
  Json vocab = Json::object(), merges = Json::array(), added = Json::array();
  for (size_t i = 0; i < trained.pieces.size(); ++i) vocab[trained.pieces[i]] = i;
  for (const auto& [left, right] : trained.merges) merges.push_back({left, right});
  for (size_t i = 0; i < kSpecialPieces.size(); ++i) {
    added.push_back({{"id", i},
                     {"content", kSpecialPieces[i]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const Json decoders = {replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  const Json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", added},
                          {"normalizer", replace(" ", kSpace)},
                          {"pre_tokenizer", nullptr},
                          {"post_processor", nullptr},
                          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
                          {"model",
                           {{"type", "BPE"},
                            {"dropout", nullptr},
                            {"unk_token", "<unk>"},
                            {"continuing_subword_prefix", nullptr},
                            {"end_of_word_suffix", nullptr},
                            {"fuse_unk", true},
                            {"byte_fallback", true},
                            {"ignore_merges", false},
                            {"vocab", vocab},
                            {"merges", merges}}}};
  const Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                       {"add_bos_token", false},
                       {"add_eos_token", false},
                       {"bos_token", "<bos>"},
                       {"eos_token", "<eos>"},
                       {"pad_token", "<pad>"},
                       {"unk_token", "<unk>"},
                       {"padding_side", "right"},
                       {"clean_up_tokenization_spaces", false}};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check_machine(!error, folder.string(), ": cannot be created: ", error.message());
  write_file_atomically(folder / "tokenizer.json", tokenizer.dump(1) + "\n");
  write_file_atomically(folder / "tokenizer_config.json", config.dump(1) + "\n");
}

}  // namespace i1
