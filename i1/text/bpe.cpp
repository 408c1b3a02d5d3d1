#include "i1/text/bpe.h"

#include <algorithm>
#include <queue>

#include "i1/core/error.h"
#include "i1/core/utf8.h"

namespace i1 {
namespace {

// A piece of the text being merged, in a list linked by positions. A symbol that was merged into
// its left neighbour has id -1.
struct Symbol {
  PieceId id;
  int32_t previous, next;
};

// A merge that was possible when it was queued; stale if either symbol has changed since.
struct Candidate {
  int32_t rank, position;
  PieceId left, right, merged;

  bool operator<(const Candidate& other) const {  // std::priority_queue gives the largest first
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

class MergeLoop {
 public:
  MergeLoop(const BpeModel& model, std::vector<Symbol> symbols)
      : model_(model), symbols_(std::move(symbols)) {}

  int64_t run() {
    std::vector<Candidate> first;
    first.reserve(symbols_.size());
    for (size_t i = 0; i + 1 < symbols_.size(); ++i) push(static_cast<int32_t>(i), first);
    int64_t num_entries = static_cast<int64_t>(first.size());
    heap_ = std::priority_queue<Candidate>({}, std::move(first));
    std::vector<Candidate> found;
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      found.clear();
      if (apply(best)) {
        if (symbols_[best.position].previous >= 0) push(symbols_[best.position].previous, found);
        push(best.position, found);
      }
      for (const Candidate& candidate : found) heap_.push(candidate);
      num_entries += static_cast<int64_t>(found.size());
    }
    return num_entries;
  }

  const std::vector<Symbol>& symbols() const { return symbols_; }

 private:
  void push(int32_t position, std::vector<Candidate>& out) const {
    const Symbol& left = symbols_[position];
    if (left.next < 0) return;
    const PieceId right = symbols_[left.next].id;
    const auto merge = model_.merges.find(BpeModel::pair_key(left.id, right));
    if (merge != model_.merges.end())
      out.push_back({merge->second.rank, position, left.id, right, merge->second.merged});
  }

  bool apply(const Candidate& candidate) {
    Symbol& left = symbols_[candidate.position];
    if (left.id != candidate.left || left.next < 0) return false;
    Symbol& right = symbols_[left.next];
    if (right.id != candidate.right) return false;
    left.id = candidate.merged;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols_[left.next].previous = candidate.position;
    return true;
  }

  const BpeModel& model_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> heap_;
};

// The ids of single characters and bytes, before any merge.
std::vector<Symbol> split_characters(const BpeModel& model, std::string_view text) {
  std::vector<Symbol> symbols;
  symbols.reserve(text.size());
  bool after_unknown = false;
  const auto append = [&](PieceId id) {
    const int32_t position = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, position - 1, position + 1});
  };
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(utf8_length(text.substr(i)), 1);
    const std::string_view character = text.substr(i, length);
    const PieceId id = model.find(character);
    i += length;
    if (id >= 0) {
      append(id);
    } else if (model.has_bytes(character)) {
      for (const char byte : character) append(model.byte_ids[static_cast<unsigned char>(byte)]);
    } else if (model.unknown_id >= 0 && !after_unknown) {
      append(model.unknown_id);
    }
    after_unknown = id < 0 && !model.has_bytes(character);
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

}  // namespace

PieceId BpeModel::find(std::string_view piece) const {
  const auto found = ids.find(piece);
  return found == ids.end() ? -1 : found->second;
}

void BpeModel::add(PieceId id, std::string piece) {
  if (static_cast<size_t>(id) >= pieces.size()) pieces.resize(static_cast<size_t>(id) + 1);
  ids.try_emplace(piece, id);
  pieces[static_cast<size_t>(id)] = std::move(piece);
}

void BpeModel::find_byte_pieces() {
  for (int byte = 0; byte < 256; ++byte)
    byte_ids[byte] = find(byte_piece(static_cast<unsigned char>(byte)));
}

bool BpeModel::has_bytes(std::string_view text) const {
  return std::all_of(text.begin(), text.end(),
                     [&](char byte) { return byte_ids[static_cast<unsigned char>(byte)] >= 0; });
}

int64_t BpeModel::encode(std::string_view text, std::vector<int64_t>& out) const {
  check_user(text.size() < size_t{1} << 31, "text of ", text.size(), " bytes: at most 2 GiB");
  if (use_whole_pieces) {
    if (const PieceId id = find(text); id >= 0) {
      out.push_back(id);
      return 0;
    }
  }
  MergeLoop loop(*this, split_characters(*this, text));
  const int64_t num_entries = loop.run();
  for (const Symbol& symbol : loop.symbols()) {
    if (symbol.id >= 0) out.push_back(symbol.id);
  }
  return num_entries;
}

std::string byte_piece(unsigned char byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

}  // namespace i1
