// Hugging Face's tokenizer.json. The pipeline that is supported is Gemma's: added tokens, a
// normaliser of plain replacements, no pre-tokenizer that could fire, byte-pair encoding.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/text/tokenizer.h"

namespace i1 {
namespace {

using nlohmann::json;

constexpr int64_t kMaxId = int64_t{1} << 24;  // a table of that size still fits into memory

// A value in a message: never a whole list, which may be long or deeply nested.
std::string brief(const json& value) {
  return value.is_structured() ? concat("an ", value.type_name()) : value.dump().substr(0, 100);
}

// The parts of one file, with the file's name in every message.
class TokenizerJson {
 public:
  TokenizerJson(std::string_view bytes, const std::string& where)
      : where_(where), json_(json::parse(bytes, nullptr, /*allow_exceptions=*/false)) {
    check_user(json_.is_object(), where_, ": not a JSON object");
  }

  BpeModel bpe() const {
    const json& model = part("model");
    check(model.is_object() && model.contains("vocab") && model["vocab"].is_object() &&
              model.contains("merges") && model["merges"].is_array(),
          "no \"model\" with \"vocab\" and \"merges\": expected a byte-pair model");
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
      check(!model.contains(key) || model[key].is_null() || model[key] == "" || model[key] == 0.0,
            "\"", key, "\" is not supported");
    BpeModel bpe;
    bpe.ids.reserve(model["vocab"].size());
    for (const auto& [piece, id] : model["vocab"].items()) bpe.add(checked_id(id, piece), piece);
    bpe.merges.reserve(model["merges"].size());
    for (const json& merge : model["merges"]) add_merge(merge, bpe);
    if (flag(model, "byte_fallback")) bpe.find_byte_pieces();
    if (model.contains("unk_token") && model["unk_token"].is_string())
      bpe.unknown_id = bpe.find(model["unk_token"].get_ref<const std::string&>());
    bpe.use_whole_pieces = flag(model, "ignore_merges");
    return bpe;
  }

  void added_tokens(BpeModel& bpe, TextMatcher& matcher, std::set<int64_t>& special) const {
    const json& tokens = part("added_tokens");
    check(tokens.is_array() || tokens.is_null(), "\"added_tokens\" is not a list");
    for (const json& token : tokens) {
      check(token.is_object() && token.contains("id") && token.contains("content") &&
                token["content"].is_string(),
            "added token ", brief(token), ": expected \"id\" and \"content\"");
      const std::string text = token["content"].get<std::string>();
      for (const char* key : {"single_word", "lstrip", "rstrip", "normalized"})
        check(!token.contains(key) || token[key] == false, "added token \"", text, "\" with \"",
              key, "\" is not supported");
      const PieceId id = checked_id(token["id"], text);
      bpe.add(id, text);
      matcher.add(text, id);
      if (flag(token, "special")) special.insert(id);
    }
  }

  // Normaliser or decoder: replacements of plain text, alone or in a sequence.
  std::vector<Replacement> replacements(const char* part, const char* list,
                                        const std::set<std::string>& others) const {
    std::vector<Replacement> found;
    collect(this->part(part), part, list, others, found);
    return found;
  }

  // A split at something that the normaliser leaves nowhere in the text does nothing.
  void check_pre_tokenizer(const std::vector<Replacement>& normalizer) const {
    const json& split = part("pre_tokenizer");
    if (split.is_null()) return;
    const auto never_there = [&](const std::string& text) {
      return std::any_of(normalizer.begin(), normalizer.end(), [&](const Replacement& r) {
        return r.from == text && r.to.find(text) == std::string::npos;
      });
    };
    check(split.is_object() && split.value("type", json()) == "Split" &&
              never_there(pattern_of(split, "pre_tokenizer")),
          "pre_tokenizer of type ", brief(split.is_object() ? split.value("type", json()) : split),
          " is not supported");
  }

 private:
  template <class... Parts>
  void check(bool ok, const Parts&... parts) const {
    check_user(ok, where_, ": ", parts...);
  }

  const json& part(const char* key) const {
    static const json kNone;
    const auto found = json_.find(key);
    return found == json_.end() ? kNone : *found;
  }

  bool flag(const json& object, const char* key) const {
    const json value = object.value(key, json(false));
    check(value.is_boolean() || value.is_null(), "\"", key, "\" is ", brief(value),
          ", expected true or false");
    return value == true;
  }

  PieceId checked_id(const json& id, const std::string& piece) const {
    const int64_t value = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (value < 0 || value >= kMaxId)
      check(false, "piece \"", piece, "\" has the id ", brief(id), ", expected 0 to ", kMaxId - 1);
    return static_cast<PieceId>(value);
  }

  // ["a", "b"] in newer files, "a b" in older ones.
  void add_merge(const json& merge, BpeModel& bpe) const {
    std::string_view left, right;
    if (merge.is_string()) {
      const std::string_view text = merge.get_ref<const std::string&>();
      const size_t space = std::min(text.find(' ', 1), text.size());
      left = text.substr(0, space), right = text.substr(std::min(space + 1, text.size()));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get_ref<const std::string&>(), right = merge[1].get_ref<const std::string&>();
    }
    const PieceId l = bpe.find(left), r = bpe.find(right);
    const PieceId merged = bpe.find(std::string(left).append(right));
    // Written out only where it fails: half a million merges are read.
    if (l < 0 || r < 0 || merged < 0)
      check(false, "merge ", brief(merge), " of \"", left, "\" and \"", right,
            "\": expected two pieces that together are one");
    bpe.merges.try_emplace(BpeModel::pair_key(l, r),
                           Merge{static_cast<int32_t>(bpe.merges.size()), merged});
  }

  std::string pattern_of(const json& step, const char* part) const {
    const json pattern = step.value("pattern", json());
    check(pattern.is_object() && pattern.contains("String") && pattern["String"].is_string(), part,
          ": only patterns of the form {\"String\": ...} are supported");
    return pattern["String"].get<std::string>();
  }

  void collect(const json& step, const char* part, const char* list,
               const std::set<std::string>& others, std::vector<Replacement>& found) const {
    if (step.is_null()) return;
    check(step.is_object() && step.contains("type") && step["type"].is_string(), part,
          ": expected an object with a \"type\"");
    const std::string& type = step["type"].get_ref<const std::string&>();
    if (type == "Sequence" && step.contains(list) && step[list].is_array()) {
      for (const json& inner : step[list]) {
        check(inner.is_object() && inner.value("type", json()) != "Sequence", part,
              ": a sequence in a sequence is not supported");
        collect(inner, part, list, others, found);
      }
    } else if (type == "Replace") {
      check(step.contains("content") && step["content"].is_string(), part,
            ": Replace without \"content\"");
      found.push_back({pattern_of(step, part), step["content"].get<std::string>()});
    } else {
      check(others.contains(type), part, " of type \"", type, "\" is not supported");
    }
  }

  std::string where_;
  json json_;
};

}  // namespace

Tokenizer parse_tokenizer_json(std::string_view bytes, const std::string& where) {
  const TokenizerJson file(bytes, where);
  Tokenizer tokenizer;
  tokenizer.bpe_ = file.bpe();
  file.added_tokens(tokenizer.bpe_, tokenizer.added_, tokenizer.special_ids_);
  tokenizer.normalizer_ = file.replacements("normalizer", "normalizers", {});
  file.check_pre_tokenizer(tokenizer.normalizer_);
  tokenizer.decoder_ = file.replacements("decoder", "decoders", {"ByteFallback", "Fuse"});
  return tokenizer;
}

}  // namespace i1
