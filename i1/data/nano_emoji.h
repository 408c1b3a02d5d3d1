// The `emoji` set, what is held out of it, and the true pictures that evaluation ranks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "i1/data/nano_emoji_pictures.h"
#include "i1/data/nano_emoji_table.h"
#include "i1/data/nano_set.h"
#include "i1/data/nano_split.h"
#include "i1/data/nano_words.h"

namespace i1 {

struct EmojiSources {
  explicit EmojiSources(const std::filesystem::path& sources)
      : table(sources), pictures(sources), glosses(sources) {}

  EmojiTable table;
  EmojiPictures pictures;
  Glosses glosses;
};

/// Which part of the split a drawing belongs to (nano_split.h).
enum class EmojiPart { kTrained, kHiddenCell, kHiddenStyle };

/// True for the 3,341 concepts that are scored: Emoji 14 or older, drawn in all four styles.
bool is_scored(const EmojiSources& sources, const EmojiConcept& entry);
EmojiPart part_of(const EmojiSources& sources, const EmojiConcept& entry, Style style);
/// The scored people with a skin tone and a role: the cells of the grid.
bool is_grid_cell(const EmojiSources& sources, const EmojiConcept& entry);

/// Captions of one drawing: its name; the name in the phrase of its style; the name and the style's
/// suffix; with keywords; with a definition. The last two where there are any.
std::vector<std::string> emoji_captions(const EmojiSources& sources, const EmojiConcept& entry,
                                        Style style);

struct EmojiSets {
  NanoSet emoji;  ///< people with skin tones thinned out to about a fifth
  NanoSet tones;  ///< "emoji_tones": the people left out of `emoji`, for who wants more of them
  NanoSet heldout_grid, heldout_style;
  NanoSet truth;  ///< "truth_emoji": all scored concepts in all styles, hidden or not
};
/// `sources` must outlive the sets.
EmojiSets make_emoji_sets(const EmojiSources& sources);

}  // namespace i1
