// The four drawings of every emoji concept.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "i1/data/nano_split.h"
#include "i1/io/image.h"

namespace i1 {

/// How captions name a style: `styled(k3d, "a penguin")` is "a 3D render of a penguin",
/// `style_suffix(k3d)` is "3D render".
std::string styled(Style style, std::string_view phrase);
const char* style_suffix(Style style);

/// 3d: @lobehub/fluent-emoji-3d. outline: openmoji. cartoon: @iconify-json/noto, and
/// emoji-datasource-google where that has none (flags). flat: @iconify-json/twemoji.
class EmojiPictures {
 public:
  /// Throws UserError where a package is missing.
  explicit EmojiPictures(const std::filesystem::path& sources);

  std::vector<std::string> codes(Style style) const;  ///< sorted
  bool has(Style style, std::string_view code) const;
  bool has_all_styles(std::string_view code) const;
  /// A sprite of size x size pixels. Safe from several threads.
  Image load(Style style, std::string_view code, int size) const;

 private:
  using Files = std::map<std::string, std::filesystem::path, std::less<>>;
  using Drawings = std::map<std::string, std::string, std::less<>>;  // SVG text

  Files files_[4];
  Drawings drawings_[4];
};

}  // namespace i1
