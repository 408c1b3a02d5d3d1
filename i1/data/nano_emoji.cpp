#include "i1/data/nano_emoji.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "i1/data/nano_key.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_picture.h"

namespace i1 {
namespace {

// Shares of the drawings with skin tones that stay in `emoji`, so that they are a fifth of it. More
// of the grid's cells, because the hidden ones are to be inferred from them.
constexpr double kKeptGridShare = 0.4;
constexpr double kKeptOtherShare = 0.16;

// Fills the square but for a thin margin.
constexpr double kShare = 1.0;

// Groups of OpenMoji that are trademarks, buttons of user interfaces or gestures without a thing
// to see, and two people by name.
const WordSet kUnusableGroups = word_set(
    "extras-openmoji/brand|extras-openmoji/ui-element|extras-openmoji/interaction|extras-"
    "openmoji/queer-symbols");
const WordSet kUnusableNames =
    word_set("trump|Greta Thunberg|combining enclosing keycap|white square");  // no drawing of it

// WordNet's kinds of nouns (nano_words.h) that a group of emoji can show.
const std::map<std::string, std::vector<int>, std::less<>> kKindsByGroup = {
    {"people-body", {18, 8}}, {"animals-nature", {5, 20}},        {"food-drink", {13, 20}},
    {"activities", {6}},      {"travel-places", {6, 17, 15, 19}}, {"objects", {6, 8}}};

bool is_usable(const EmojiConcept& entry) {
  return !kUnusableGroups.contains(entry.group) && !kUnusableNames.contains(entry.label);
}

std::string keyword_caption(const EmojiConcept& entry, Style style, const std::string& phrase) {
  std::vector<std::string> tags = entry.tags;
  if (tags.empty()) return "";
  KeyDraws draws("tags/" + entry.code + "/" + style_name(style));
  draws.shuffle(tags);
  tags.resize(std::min<size_t>(tags.size(), 4));
  std::string caption = styled(style, phrase);
  for (const std::string& tag : tags) caption.append(", ").append(tag);
  return caption;
}

NanoItem make_item(const EmojiSources& sources, const EmojiConcept& entry, Style style) {
  NanoItem item;
  item.name = std::string(style_name(style)) + "/" + entry.code;
  item.captions = emoji_captions(sources, entry, style);
  constexpr std::array<const char*, 3> kParts = {"", "grid", "style"};
  item.metadata = {{"code", entry.code},
                   {"style", style_name(style)},
                   {"concept", entry.name},
                   {"group", entry.group},
                   {"tones", entry.tones},
                   {"role", entry.role},
                   {"gender", entry.gender},
                   {"is_scored", is_scored(sources, entry)},
                   {"held_out", kParts[static_cast<size_t>(part_of(sources, entry, style))]}};
  item.draw = [&sources, code = entry.code, style](int size) {
    return centred(sources.pictures.load(style, code, size), size, kShare, kWhite);
  };
  return item;
}

bool is_kept(const EmojiConcept& entry, Style style) {
  const double share = entry.role.empty() ? kKeptOtherShare : kKeptGridShare;
  return entry.tones.empty() || key_share("tone/" + entry.code + "/" + style_name(style)) < share;
}

}  // namespace

bool is_scored(const EmojiSources& sources, const EmojiConcept& entry) {
  return entry.version > 0 && entry.version <= kScoredEmojiVersion &&
         sources.pictures.has_all_styles(entry.code);
}

bool is_grid_cell(const EmojiSources& sources, const EmojiConcept& entry) {
  return !entry.role.empty() && entry.tones.size() == 1 && is_scored(sources, entry);
}

EmojiPart part_of(const EmojiSources& sources, const EmojiConcept& entry, Style style) {
  if (!is_scored(sources, entry)) return EmojiPart::kTrained;
  if (entry.tones.empty())
    return hidden_style(entry.code) == style ? EmojiPart::kHiddenStyle : EmojiPart::kTrained;
  const bool is_hidden = is_grid_cell(sources, entry) &&
                         is_grid_cell_hidden(entry.role, entry.gender, entry.tones[0], style);
  return is_hidden ? EmojiPart::kHiddenCell : EmojiPart::kTrained;
}

std::vector<std::string> emoji_captions(const EmojiSources& sources, const EmojiConcept& entry,
                                        Style style) {
  const std::string phrase = with_article(entry.name);
  std::vector<std::string> captions = {to_lower(entry.name), styled(style, phrase),
                                       entry.name + ", " + style_suffix(style)};
  if (std::string caption = keyword_caption(entry, style, phrase); !caption.empty())
    captions.push_back(std::move(caption));
  if (const auto kinds = kKindsByGroup.find(entry.group); kinds != kKindsByGroup.end()) {
    if (const auto gloss = sources.glosses.find(entry.name, kinds->second))
      captions.push_back(phrase + ": " + *gloss);
  }
  return captions;
}

EmojiSets make_emoji_sets(const EmojiSources& sources) {
  EmojiSets sets;
  sets.emoji.name = "emoji";
  sets.tones.name = "emoji_tones";
  sets.heldout_grid.name = "heldout_grid";
  sets.heldout_style.name = "heldout_style";
  sets.truth.name = "truth_emoji";
  for (const Style style : kStyles) {
    for (const std::string& code : sources.pictures.codes(style)) {
      const EmojiConcept* entry = sources.table.find(code);
      if (entry == nullptr || !is_usable(*entry)) {
        ++sets.emoji.left_out[entry == nullptr ? "no name" : "trademark, gesture or real person"];
        continue;
      }
      NanoItem item = make_item(sources, *entry, style);
      if (is_scored(sources, *entry)) sets.truth.items.push_back(item);
      const EmojiPart part = part_of(sources, *entry, style);
      if (part != EmojiPart::kTrained) {
        ++sets.emoji.left_out["held out"];
        NanoSet& hidden = part == EmojiPart::kHiddenCell ? sets.heldout_grid : sets.heldout_style;
        hidden.items.push_back(std::move(item));
      } else if (is_kept(*entry, style)) {
        sets.emoji.items.push_back(std::move(item));
      } else {
        ++sets.emoji.left_out["skin tone, moved to emoji_tones"];
        sets.tones.items.push_back(std::move(item));
      }
    }
  }
  return sets;
}

}  // namespace i1
