#include "i1/text/tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/utf8.h"

namespace i1 {
namespace {

void replace_all(std::string& text, const Replacement& replacement) {
  if (replacement.from.empty()) return;
  std::string out;
  size_t from = 0;
  for (size_t at; (at = text.find(replacement.from, from)) != std::string::npos;) {
    out.append(text, from, at - from).append(replacement.to);
    from = at + replacement.from.size();
  }
  if (from == 0) return;
  text = out.append(text, from);
}

// Bytes of byte pieces, as text: kept where all of a run is UTF-8, else one U+FFFD a byte.
void append_bytes(std::string& bytes, std::string& out) {
  std::string_view rest = bytes;
  while (const size_t length = utf8_length(rest)) rest.remove_prefix(length);
  if (rest.empty()) {
    out += bytes;
  } else {
    for (size_t i = 0; i < bytes.size(); ++i) out += "\xEF\xBF\xBD";
  }
  bytes.clear();
}

// The content of "pad_token": a string, or an object that describes an added token.
std::string token_text(const nlohmann::json& token) {
  if (token.is_string()) return token.get<std::string>();
  return token.is_object() && token.contains("content") && token["content"].is_string()
             ? token["content"].get<std::string>()
             : "";
}

TokenizerSettings read_settings(const Tokenizer& tokenizer, const std::filesystem::path& path) {
  nlohmann::json config = nlohmann::json::object();
  if (std::filesystem::exists(path)) {
    config = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
    check_user(config.is_object(), path.string(), ": not a JSON object");
  }
  const auto flag = [&](const char* name) {
    if (!config.contains(name) || config[name].is_null()) return false;
    check_user(config[name].is_boolean(), path.string(), ": \"", name, "\" is ",
               config[name].dump(), ", expected true or false");
    return config[name].get<bool>();
  };
  const auto id_of = [&](const char* name, const char* usual) {
    const std::string text = config.contains(name) ? token_text(config[name]) : "";
    return tokenizer.id(text.empty() ? usual : text).value_or(-1);
  };
  TokenizerSettings settings;
  settings.add_bos = flag("add_bos_token");
  settings.add_eos = flag("add_eos_token");
  const std::string side = config.value("padding_side", nlohmann::json("right")).dump();
  check_user(side == "\"left\"" || side == "\"right\"", path.string(), ": \"padding_side\" is ",
             side, ", expected \"left\" or \"right\"");
  settings.pad_left = side == "\"left\"";
  settings.bos_id = id_of("bos_token", "<bos>");
  settings.eos_id = id_of("eos_token", "<eos>");
  settings.pad_id = std::max<int64_t>(id_of("pad_token", "<pad>"), 0);
  check_user(!settings.add_bos || settings.bos_id >= 0, path.string(),
             ": \"add_bos_token\" is true, but \"bos_token\" is not in the vocabulary");
  check_user(!settings.add_eos || settings.eos_id >= 0, path.string(),
             ": \"add_eos_token\" is true, but \"eos_token\" is not in the vocabulary");
  return settings;
}

}  // namespace

void TextMatcher::add(const std::string& text, PieceId id) {
  if (text.empty()) return;
  size_t node = 0;
  for (const char byte : text) {
    const auto [child, is_new] = nodes_[node].children.try_emplace(byte, nodes_.size());
    node = child->second;
    if (is_new) nodes_.emplace_back();
  }
  nodes_[node].id = id;
}

TextMatcher::Match TextMatcher::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    Match longest;
    size_t node = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      const auto child = nodes_[node].children.find(text[i]);
      if (child == nodes_[node].children.end()) break;
      node = child->second;
      if (nodes_[node].id >= 0) longest = {begin, i + 1 - begin, nodes_[node].id};
    }
    if (longest.length > 0) return longest;
  }
  return {text.size(), 0, -1};
}

std::string Tokenizer::normalize(std::string_view text) const {
  std::string out(text);
  for (const Replacement& replacement : normalizer_) replace_all(out, replacement);
  return out;
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, size_t max_tokens) const {
  const size_t num_around = (settings_.add_bos ? 1 : 0) + (settings_.add_eos ? 1 : 0);
  std::vector<int64_t> ids;
  if (settings_.add_bos) ids.push_back(settings_.bos_id);
  const std::string normalized = normalize_first_ ? normalize(text) : "";
  if (normalize_first_) text = normalized;
  for (size_t from = 0; from < text.size();) {
    const TextMatcher::Match match = added_.find(text, from);
    if (match.begin > from) {
      const std::string_view between = text.substr(from, match.begin - from);
      bpe_.encode(normalize_first_ ? std::string(between) : normalize(between), ids);
    }
    if (match.length > 0) ids.push_back(match.id);
    from = match.begin + match.length;
  }
  const size_t limit = max_tokens - std::min(max_tokens, num_around) + (settings_.add_bos ? 1 : 0);
  if (ids.size() > limit) ids.resize(limit);
  if (settings_.add_eos) ids.push_back(settings_.eos_id);
  if (ids.size() > max_tokens) ids.resize(max_tokens);
  return ids;
}

PaddedIds Tokenizer::encode_padded(std::string_view text, int64_t length) const {
  check_user(length >= 0, "a prompt cannot be padded to ", length, " tokens");
  PaddedIds padded;
  std::vector<int64_t> ids = encode(text);
  padded.num_tokens = static_cast<int64_t>(ids.size());
  if (padded.num_tokens > length) ids = encode(text, static_cast<size_t>(length));
  const size_t num_padding = static_cast<size_t>(length) - ids.size();
  padded.mask.assign(ids.size(), 1);
  padded.mask.insert(settings_.pad_left ? padded.mask.begin() : padded.mask.end(), num_padding, 0);
  padded.ids = std::move(ids);
  padded.ids.insert(settings_.pad_left ? padded.ids.begin() : padded.ids.end(), num_padding,
                    settings_.pad_id);
  return padded;
}

const std::string& Tokenizer::piece(int64_t id) const {
  check_user(id >= 0 && id < vocabulary_size(), "token id ", id, ": the vocabulary holds 0 to ",
             vocabulary_size() - 1);
  return bpe_.pieces[static_cast<size_t>(id)];
}

std::optional<int64_t> Tokenizer::id(std::string_view piece) const {
  const PieceId found = bpe_.find(piece);
  return found < 0 ? std::nullopt : std::optional<int64_t>(found);
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special) const {
  std::string out, bytes;
  for (const int64_t id : ids) {
    std::string text = piece(id);
    if (skip_special && special_ids_.contains(id)) continue;
    const auto byte = std::find(bpe_.byte_ids.begin(), bpe_.byte_ids.end(), id);
    if (byte != bpe_.byte_ids.end()) {
      bytes += static_cast<char>(byte - bpe_.byte_ids.begin());
      continue;
    }
    append_bytes(bytes, out);
    for (const Replacement& replacement : decoder_) replace_all(text, replacement);
    out += text;
  }
  append_bytes(bytes, out);
  return out;
}

Tokenizer load_tokenizer(const std::filesystem::path& path) {
  const auto in_folder = [&](const char* name) { return path / name; };
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(path)) {
    file = in_folder("tokenizer.json");
    if (!std::filesystem::exists(file)) file = in_folder("tokenizer.model");
    check_user(std::filesystem::exists(file), path.string(),
               ": holds neither tokenizer.json nor tokenizer.model");
  }
  const std::string bytes = read_file(file), where = file.string();
  Tokenizer tokenizer = file.extension() == ".json" ? parse_tokenizer_json(bytes, where)
                                                    : parse_sentencepiece_model(bytes, where);
  tokenizer.settings_ = read_settings(tokenizer, file.parent_path() / "tokenizer_config.json");
  return tokenizer;
}

}  // namespace i1
