// Byte-pair encoding (Sennrich et al. 2016) as Gemma uses it: over a whole stretch of text without
// splitting it into words first, so the merge loop runs on a heap and takes n log n steps for n
// characters.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace i1 {

/// A piece's place in the vocabulary. 32 bits here, because tables hold hundreds of thousands of
/// them; 64 where ids become tensors.
using PieceId = int32_t;

/// Two neighbouring pieces become one. Lower ranks are applied first, equal ones from the left.
struct Merge {
  int32_t rank;
  PieceId merged;
};

struct BpeModel {
  /// Hashes std::string and std::string_view alike, so that looking up a part of a text copies
  /// nothing.
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct PairHash {
    size_t operator()(uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15ull) >> 20; }
  };

  std::vector<std::string> pieces;  ///< by id; an id that the file leaves out is empty
  std::unordered_map<std::string, PieceId, Hash, std::equal_to<>> ids;
  std::unordered_map<uint64_t, Merge, PairHash> merges;  ///< by pair_key
  std::array<PieceId, 256> byte_ids;  ///< the pieces <0x00>..<0xFF>; -1: none for this byte
  PieceId unknown_id = -1;            ///< -1: characters without a piece are left out
  bool use_whole_pieces = false;      ///< a stretch that is itself a piece is never taken apart

  BpeModel() { byte_ids.fill(-1); }

  static uint64_t pair_key(PieceId left, PieceId right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  /// The id of `piece`, -1 where there is none.
  PieceId find(std::string_view piece) const;

  /// Adds `piece` at `id`, growing the table. The first id of a text that occurs twice is kept.
  void add(PieceId id, std::string piece);

  /// Fills byte_ids from the vocabulary. (Gemma's tokenizer.json has no <0x09>: its id is the tab.)
  void find_byte_pieces();
  bool has_bytes(std::string_view text) const;  ///< true where every byte of `text` has a piece

  /// Appends the ids of `text`. A character without a piece becomes its bytes, and so do bytes that
  /// are not UTF-8; where pieces for those are missing too, a run becomes one unknown_id. Returns
  /// the number of heap entries it handled, at most 3 a character.
  int64_t encode(std::string_view text, std::vector<int64_t>& out) const;
};

/// "<0x0A>" for 10: how vocabularies write a single byte.
std::string byte_piece(unsigned char byte);

}  // namespace i1
