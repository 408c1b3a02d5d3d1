// The concepts of the `emoji` set: what each code point sequence shows, from npm emojibase-data
// (labels, tags and versions of Unicode CLDR) and, for the drawings that only OpenMoji has, from
// its own list.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace i1 {

struct EmojiConcept {
  std::string code;   ///< normalized_code: "1f469-1f3fe-200d-1f680"
  std::string label;  ///< "woman astronaut: medium-dark skin tone"
  std::string name;   ///< name_of_label: "woman astronaut with medium-dark skin"
  std::vector<std::string> tags;
  std::string group;               ///< "people-body", ..., "extras-openmoji"
  double version = 0;              ///< Emoji version; 0 where only OpenMoji has it
  std::vector<std::string> tones;  ///< "medium-dark"; two where two people have their own
  std::string role, gender;  ///< "astronaut" and "woman", "man" or "person" where the concept is a
                             ///< cell of a grid of people (below); else empty
};

class EmojiTable {
 public:
  /// `sources`: the folder that tools/fetch_nano_data.sh filled. Throws UserError where a file is
  /// missing or is not what it should be.
  explicit EmojiTable(const std::filesystem::path& sources);

  const std::vector<EmojiConcept>& concepts() const { return concepts_; }  ///< sorted by code
  const EmojiConcept* find(std::string_view code) const;  ///< nullptr where there is none

 private:
  void read_emojibase(const std::filesystem::path& path);
  void read_openmoji(const std::filesystem::path& path);
  void find_roles();

  std::vector<EmojiConcept> concepts_;
  std::map<std::string, size_t, std::less<>> by_code_;
};

/// The version up to which the concepts count that are drawn in all four styles: 3,341 of them,
/// 1,831 without skin tone. Later ones are trained on but not scored.
inline constexpr double kScoredEmojiVersion = 14.0;

/// A role joins the grid when at least this many of its 18 gender and tone cells exist.
inline constexpr int kMinGridCells = 10;

}  // namespace i1
