// Learns a byte-pair vocabulary from captions (Sennrich et al. 2016, algorithm 1), in the form that
// Gemma uses: a space is written U+2581, what has no piece becomes bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace i1 {

struct BpeTrainerOptions {
  int64_t vocab_size = 8000;  ///< fewer where the captions do not have that many
  int64_t min_count = 2;  ///< pairs, and characters outside ASCII, that occur less often are left
};

struct TrainedBpe {
  /// By id: <pad>, <eos>, <bos>, <unk>, the 256 byte pieces, single characters by code point (all
  /// printable ASCII among them), then merged pieces in the order they were learned.
  std::vector<std::string> pieces;
  std::vector<std::pair<std::string, std::string>> merges;  ///< in order of rank
};

/// The stretches within which merges are learned: a space begins one and belongs to it, letters
/// (ASCII letters and every character beyond ASCII) follow, and anything else stands alone. No
/// merge crosses from one to the next, so encoding needs no rule about words: "red apple, 12" gives
/// "red", "\u2581apple", ",", "\u2581", "1", "2".
std::vector<std::string> split_words(const std::string& caption);

/// Deterministic: of the most frequent pairs, the one with the lowest ids is merged first. Throws
/// UserError where vocab_size cannot hold the pieces that are always there.
TrainedBpe train_bpe(std::span<const std::string> captions, const BpeTrainerOptions& options = {});

/// Writes tokenizer.json and tokenizer_config.json, as Hugging Face's libraries and
/// `load_tokenizer` read them: nothing before or after a prompt, padding on the right.
void save_tokenizer(const TrainedBpe& trained, const std::filesystem::path& folder);

}  // namespace i1
