// SentencePiece's tokenizer.model: a protocol buffer (sentencepiece_model.proto), of which only the
// pieces and a few settings matter. Merges are not stored: two neighbours merge where their texts
// together are a piece, the one with the highest score first.
#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#include "i1/core/error.h"
#include "i1/core/utf8.h"
#include "i1/text/tokenizer.h"

namespace i1 {
namespace {

enum PieceType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct Field {
  int number = 0;
  uint64_t value = 0;      // of the numeric wire types
  std::string_view bytes;  // of the length-delimited one
};

// Reads the fields of one message one after the other.
class Message {
 public:
  Message(std::string_view bytes, const std::string& where) : rest_(bytes), where_(where) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    field = {static_cast<int>(key >> 3), 0, {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        std::memcpy(&field.value, take(8).data(), 8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        std::memcpy(&field.value, take(4).data(), 4);
        break;
      default:
        check_user(false, where_, ": not a SentencePiece model (wire type ", key & 7, ")");
    }
    return true;
  }

 private:
  std::string_view take(uint64_t size) {
    check_user(size <= rest_.size(), where_, ": not a SentencePiece model, or cut off (", size,
               " bytes expected, ", rest_.size(), " left)");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    throw UserError(where_ + ": not a SentencePiece model (a number of more than 64 bits)");
  }

  std::string_view rest_;
  const std::string& where_;
};

struct Piece {
  std::string text;
  float score = 0;
  uint64_t type = kNormal;
};

struct Model {
  std::vector<Piece> pieces;
  uint64_t model_type = 1;  // the proto's default, unigram
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, has_character_map = false;
};

Piece read_piece(Message message) {
  Piece piece;
  for (Field field; message.next(field);) {
    if (field.number == 1) piece.text = field.bytes;
    if (field.number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) piece.type = field.value;
  }
  return piece;
}

Model read_model(std::string_view bytes, const std::string& where) {
  Model model;
  Message message(bytes, where);
  for (Field field; message.next(field);) {
    if (field.number == 1) model.pieces.push_back(read_piece(Message(field.bytes, where)));
    Message part(field.bytes, where);
    if (field.number == 2) {  // trainer_spec
      for (Field inner; part.next(inner);)
        if (inner.number == 3) model.model_type = inner.value;
    } else if (field.number == 3) {  // normalizer_spec
      for (Field inner; part.next(inner);) {
        if (inner.number == 2) model.has_character_map = !inner.bytes.empty();
        if (inner.number == 3) model.add_dummy_prefix = inner.value != 0;
        if (inner.number == 4) model.remove_extra_whitespaces = inner.value != 0;
      }
    }
  }
  return model;
}

void check_supported(const Model& model, const std::string& where) {
  check_user(!model.pieces.empty(), where, ": not a SentencePiece model (no pieces)");
  check_user(model.model_type == 2, where, ": model type ", model.model_type,
             " is not supported, only 2 (byte-pair encoding)");
  check_user(!model.add_dummy_prefix && !model.remove_extra_whitespaces && !model.has_character_map,
             where, ": a normaliser that changes more than spaces is not supported");
  for (const Piece& piece : model.pieces) {
    check_user(piece.type >= kNormal && piece.type <= kByte && piece.type != kUnused, where,
               ": piece \"", piece.text, "\" has the unsupported type ", piece.type);
  }
}

// Every way to put a piece together from two others, ranked by the piece's score.
void add_merges(const Model& model, BpeModel& bpe) {
  const auto can_merge = [&](PieceId id) {
    return id >= 0 && (model.pieces[id].type == kNormal || model.pieces[id].type == kUserDefined);
  };
  std::vector<float> scores;
  for (const Piece& piece : model.pieces) scores.push_back(piece.score);
  std::sort(scores.begin(), scores.end(), std::greater<>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    if (!can_merge(static_cast<PieceId>(i))) continue;
    const std::string_view text = model.pieces[i].text;
    const auto rank =
        std::lower_bound(scores.begin(), scores.end(), model.pieces[i].score, std::greater<>());
    const Merge merge{static_cast<int32_t>(rank - scores.begin()), static_cast<PieceId>(i)};
    for (size_t cut = std::max<size_t>(utf8_length(text), 1); cut < text.size();
         cut += std::max<size_t>(utf8_length(text.substr(cut)), 1)) {
      const PieceId left = bpe.find(text.substr(0, cut)), right = bpe.find(text.substr(cut));
      if (can_merge(left) && can_merge(right))
        bpe.merges.try_emplace(BpeModel::pair_key(left, right), merge);
    }
  }
}

}  // namespace

Tokenizer parse_sentencepiece_model(std::string_view bytes, const std::string& where) {
  const Model model = read_model(bytes, where);
  check_supported(model, where);
  Tokenizer tokenizer;
  tokenizer.bpe_.ids.reserve(model.pieces.size());
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const PieceId id = static_cast<PieceId>(i);
    tokenizer.bpe_.add(id, model.pieces[i].text);
    if (model.pieces[i].type == kUserDefined) tokenizer.added_.add(model.pieces[i].text, id);
    if (model.pieces[i].type == kControl || model.pieces[i].type == kUnknown)
      tokenizer.special_ids_.insert(id);
    if (model.pieces[i].type == kUnknown) tokenizer.bpe_.unknown_id = id;
  }
  tokenizer.bpe_.find_byte_pieces();
  add_merges(model, tokenizer.bpe_);
  tokenizer.normalize_first_ = true;
  tokenizer.normalizer_ = {{" ", "\xE2\x96\x81"}};
  tokenizer.decoder_ = {{"\xE2\x96\x81", " "}};
  return tokenizer;
}

}  // namespace i1
