#include "i1/data/nano_emoji_table.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/nano_names.h"

namespace i1 {
namespace {

nlohmann::json read_json(const std::filesystem::path& path) {
  nlohmann::json json = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  check_user(!json.is_discarded(), path.string(),
             ": is not JSON; fetch the package again with tools/fetch_nano_data.sh");
  return json;
}

std::vector<std::string> tones_of(std::string_view label) {
  static const std::string kTone = " skin tone";
  std::vector<std::string> tones;
  const size_t colon = label.find(": ");
  if (colon == std::string_view::npos) return tones;
  for (const std::string& part : split_trimmed(label.substr(colon + 2), ',')) {
    if (part.ends_with(kTone)) tones.push_back(part.substr(0, part.size() - kTone.size()));
  }
  return tones;
}

// Styles differ in colour ("upwards button, red" is blue in one of them).
const WordSet kColorWords = word_set(
    "red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gray|grey|"
    "gold|golden|silver");

// Keywords that add something and are words: not "5", not a part of the name.
std::vector<std::string> useful_tags(const std::vector<std::string>& tags,
                                     const std::string& name) {
  std::vector<std::string> useful;
  for (const std::string& tag : tags) {
    const bool is_words = std::all_of(tag.begin(), tag.end(), [](char letter) {
      return (letter >= 'a' && letter <= 'z') || letter == ' ' || letter == '-';
    });
    if (is_words && tag.size() > 2 && !kColorWords.contains(tag) &&
        to_lower(name).find(tag) == std::string::npos)
      useful.push_back(tag);
  }
  return useful;
}

// "woman astronaut" -> {"astronaut", "woman"}; "astronaut" -> {"astronaut", "person"}.
std::pair<std::string, std::string> role_and_gender(const std::string& label) {
  const std::string base = label.substr(0, label.find(": "));
  for (const std::string gender : {"woman", "man", "person"}) {
    if (base.starts_with(gender + " ")) return {base.substr(gender.size() + 1), gender};
  }
  return {base, "person"};
}

// Nothing before the tone may describe the person further ("man: beard" is no role).
bool may_be_in_grid(const EmojiConcept& entry) {
  const size_t colon = entry.label.find(": ");
  const bool is_bare = colon == std::string::npos || entry.label.find(',') == std::string::npos;
  return entry.group == "people-body" && entry.version <= kScoredEmojiVersion &&
         entry.tones.size() <= 1 && is_bare && (colon == std::string::npos || !entry.tones.empty());
}

}  // namespace

EmojiTable::EmojiTable(const std::filesystem::path& sources) {
  read_emojibase(sources / "emojibase-data/en");
  read_openmoji(sources / "openmoji/data/openmoji.json");
  std::sort(concepts_.begin(), concepts_.end(),
            [](const EmojiConcept& a, const EmojiConcept& b) { return a.code < b.code; });
  for (size_t i = 0; i < concepts_.size(); ++i) by_code_[concepts_[i].code] = i;
  find_roles();
}

const EmojiConcept* EmojiTable::find(std::string_view code) const {
  const auto found = by_code_.find(code);
  return found == by_code_.end() ? nullptr : &concepts_[found->second];
}

void EmojiTable::read_emojibase(const std::filesystem::path& folder) {
  const nlohmann::json messages = read_json(folder / "messages.json");
  const nlohmann::json emoji = read_json(folder / "data.json");
  try {
    std::map<int, std::string> group_names;
    for (const auto& group : messages.at("groups"))
      group_names[group.at("order").get<int>()] = group.at("key").get<std::string>();
    const auto add = [&](const nlohmann::json& json, const nlohmann::json& base) {
      EmojiConcept entry;
      entry.code = normalized_code(json.at("hexcode").get<std::string>());
      entry.label = plain_text(json.at("label").get<std::string>());
      entry.name = name_of_label(entry.label);
      entry.tags = useful_tags(base.value("tags", std::vector<std::string>()), entry.name);
      entry.group = base.contains("group") ? group_names.at(base["group"].get<int>()) : "letters";
      entry.version = json.value("version", 0.0);
      entry.tones = tones_of(entry.label);
      concepts_.push_back(std::move(entry));
    };
    for (const auto& json : emoji) {
      add(json, json);
      for (const auto& skin : json.value("skins", nlohmann::json::array())) add(skin, json);
    }
  } catch (const std::exception& error) {
    throw UserError(concat(folder.string(), ": not as in emojibase-data 17: ", error.what()));
  }
}

void EmojiTable::read_openmoji(const std::filesystem::path& path) {
  std::set<std::string> known;
  for (const EmojiConcept& entry : concepts_) known.insert(entry.code);
  const nlohmann::json entries = read_json(path);
  try {
    for (const auto& json : entries) {
      EmojiConcept entry;
      entry.code = normalized_code(json.at("hexcode").get<std::string>());
      if (known.contains(entry.code)) continue;
      entry.label = plain_text(json.at("annotation").get<std::string>());
      entry.name = entry.label;
      const std::string tags =
          json.at("tags").get<std::string>() + "," + json.at("openmoji_tags").get<std::string>();
      entry.tags = useful_tags(split_trimmed(tags, ','), entry.name);
      entry.group =
          json.at("group").get<std::string>() + "/" + json.at("subgroups").get<std::string>();
      concepts_.push_back(std::move(entry));
    }
  } catch (const std::exception& error) {
    throw UserError(concat(path.string(), ": not as in openmoji 17: ", error.what()));
  }
}

void EmojiTable::find_roles() {
  std::map<std::string, std::set<std::string>> cells, genders;
  for (const EmojiConcept& entry : concepts_) {
    if (!may_be_in_grid(entry)) continue;
    const auto [role, gender] = role_and_gender(entry.label);
    cells[role].insert(gender + "/" + (entry.tones.empty() ? "" : entry.tones[0]));
    genders[role].insert(gender);
  }
  for (EmojiConcept& entry : concepts_) {
    if (!may_be_in_grid(entry)) continue;
    const auto [role, gender] = role_and_gender(entry.label);
    if (genders[role].size() < 2 || std::ssize(cells[role]) < kMinGridCells) continue;
    entry.role = role;
    entry.gender = gender;
  }
}

}  // namespace i1
