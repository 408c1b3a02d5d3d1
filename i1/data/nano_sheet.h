// A sheet of pictures with their captions, for people to look at.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "i1/io/image.h"

namespace i1 {

/// Lines of at most `width` characters, broken at spaces; a longer word is cut. At most
/// `max_lines`; what does not fit ends in "...".
std::vector<std::string> wrap_lines(std::string_view text, size_t width, size_t max_lines);

/// `text` safe inside SVG.
std::string escape_xml(std::string_view text);

/// Pictures of one size side by side, `num_columns` a row, each with up to four lines of caption.
Image make_sheet(const std::vector<std::pair<Image, std::string>>& pictures, int num_columns);

/// While it lives, the fonts below `sources` are the only ones that SVG text sees in this process.
/// To be made before the first text is drawn; does nothing where no font package is there.
class FontsOf {
 public:
  /// `scratch`: a folder that may be created, and is removed at the end.
  FontsOf(const std::filesystem::path& sources, std::filesystem::path scratch);
  ~FontsOf();
  FontsOf(const FontsOf&) = delete;
  FontsOf& operator=(const FontsOf&) = delete;

 private:
  std::filesystem::path scratch_;
};

}  // namespace i1
