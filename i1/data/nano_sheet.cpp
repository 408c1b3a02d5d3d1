#include "i1/data/nano_sheet.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_picture.h"

namespace i1 {
namespace {

constexpr int kFontSize = 11, kLineHeight = 13, kMargin = 6;
constexpr size_t kMaxLines = 4;

}  // namespace

std::vector<std::string> wrap_lines(std::string_view text, size_t width, size_t max_lines) {
  std::vector<std::string> lines;
  for (const std::string& word : split_trimmed(text, ' ')) {
    if (!lines.empty() && lines.back().size() + 1 + word.size() <= width) {
      lines.back() += " " + word;
      continue;
    }
    if (lines.size() == max_lines) {
      lines.back() = lines.back().substr(0, width - std::min<size_t>(width, 3)) + "...";
      return lines;
    }
    lines.push_back(word.substr(0, width));
  }
  return lines;
}

std::string escape_xml(std::string_view text) {
  std::string safe;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += letter;
    }
  }
  return safe;
}

Image make_sheet(const std::vector<std::pair<Image, std::string>>& pictures, int num_columns) {
  int side = 1;
  for (const auto& [picture, caption] : pictures) side = std::max(side, picture.width);
  const int cell_width = side + kMargin;
  const int cell_height = side + kMargin + static_cast<int>(kMaxLines) * kLineHeight;
  const int num_rows = (static_cast<int>(pictures.size()) + num_columns - 1) / num_columns;
  const int width = num_columns * cell_width + kMargin, height = num_rows * cell_height + kMargin;

  Image sheet = filled(width, height, {225, 225, 225});
  std::string text;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const int x = kMargin + static_cast<int>(i) % num_columns * cell_width;
    const int y = kMargin + static_cast<int>(i) / num_columns * cell_height;
    Image opaque = make_image(pictures[i].first.width, pictures[i].first.height, 4);
    for (size_t p = 0; p < opaque.pixels.size() / 4; ++p) {
      std::copy_n(pictures[i].first.pixels.data() + p * 3, 3, opaque.pixels.data() + p * 4);
      opaque.pixels[p * 4 + 3] = 255;
    }
    place(sheet, opaque, x, y);
    const auto line_width = static_cast<size_t>(side * 2 / kFontSize);
    int line_y = y + side + kLineHeight - 2;
    for (const std::string& line : wrap_lines(pictures[i].second, line_width, kMaxLines)) {
      text += concat("<text x=\"", x, "\" y=\"", line_y, "\">", escape_xml(line), "</text>");
      line_y += kLineHeight;
    }
  }
  const std::string body =
      concat("<g font-family=\"DejaVu Sans Condensed, DejaVu Sans, sans-serif\" font-size=\"",
             kFontSize - 1, "\">", text, "</g>");
  place(sheet, draw_svg(wrap_svg(body, width, height), width, height), 0, 0);
  return sheet;
}

FontsOf::FontsOf(const std::filesystem::path& sources, std::filesystem::path scratch)
    : scratch_(std::move(scratch)) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(sources / "fonts-dejavu-core")) return;
  std::set<fs::path> packages;
  for (const auto& entry : fs::directory_iterator(sources)) {
    if (entry.path().filename().string().starts_with("fonts-")) packages.insert(entry.path());
  }
  std::string folders;
  for (const fs::path& package : packages) {
    const fs::path fonts = fs::absolute(package / "usr/share/fonts");
    folders += concat("<dir>", escape_xml(fonts.string()), "</dir>");
  }
  fs::create_directories(scratch_);
  const fs::path file = fs::absolute(scratch_ / "fonts.conf");
  write_file_atomically(file,
                        concat("<?xml version=\"1.0\"?>"
                               "<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig>",
                               folders, "<cachedir>", escape_xml(fs::absolute(scratch_).string()),
                               "</cachedir></fontconfig>"));
  ::setenv("FONTCONFIG_FILE", file.c_str(), /*overwrite=*/1);
}

FontsOf::~FontsOf() {
  ::unsetenv("FONTCONFIG_FILE");
  std::error_code ignored;
  std::filesystem::remove_all(scratch_, ignored);
}

}  // namespace i1
