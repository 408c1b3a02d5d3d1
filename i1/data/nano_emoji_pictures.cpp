#include "i1/data/nano_emoji_pictures.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_picture.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// Twemoji's drawings touch the edge of their square; the others keep a margin of their own.
constexpr double kFlatShare = 0.92;

std::map<std::string, fs::path, std::less<>> files_by_code(const fs::path& folder,
                                                           const std::string& extension) {
  check_user(fs::is_directory(folder), folder.string(),
             ": no such folder; fetch the packages with tools/fetch_nano_data.sh");
  std::map<std::string, fs::path, std::less<>> files;
  std::set<fs::path> sorted;  // of two names with one code the first counts, on every machine
  for (const auto& entry : fs::directory_iterator(folder)) sorted.insert(entry.path());
  for (const fs::path& path : sorted) {
    if (path.extension() == extension) files.emplace(normalized_code(path.stem().string()), path);
  }
  return files;
}

// An Iconify package: icons.json holds the drawings by name, chars.json the names by code points.
std::map<std::string, std::string, std::less<>> read_iconify(const fs::path& folder) {
  std::map<std::string, std::string, std::less<>> drawings;
  try {
    const nlohmann::json icons = nlohmann::json::parse(read_file(folder / "icons.json"));
    const nlohmann::json names = nlohmann::json::parse(read_file(folder / "chars.json"));
    const nlohmann::json aliases = icons.value("aliases", nlohmann::json::object());
    for (const auto& [code, name] : names.items()) {
      std::string key = name.get<std::string>();
      while (aliases.contains(key)) key = aliases[key].at("parent").get<std::string>();
      const nlohmann::json& icon = icons.at("icons").at(key);
      drawings.emplace(normalized_code(code),
                       wrap_svg(icon.at("body").get_ref<const std::string&>(),
                                icon.value("width", icons.value("width", 16.0)),
                                icon.value("height", icons.value("height", 16.0))));
    }
  } catch (const nlohmann::json::exception& error) {
    throw UserError(concat(folder.string(), ": not as in Iconify's packages: ", error.what()));
  }
  return drawings;
}

size_t index_of(Style style) { return static_cast<size_t>(style); }

}  // namespace

std::string styled(Style style, std::string_view phrase) {
  const std::string text(phrase);
  switch (style) {
    case Style::k3d:
      return "a 3D render of " + text;
    case Style::kOutline:
      return "a drawing of " + text + " with thick black outlines";
    case Style::kCartoon:
      return "a shaded cartoon of " + text;
    case Style::kFlat:
      break;
  }
  return "a flat icon of " + text;
}

const char* style_suffix(Style style) {
  constexpr const char* kSuffixes[] = {"3D render", "thick black outlines", "shaded cartoon",
                                       "flat icon"};
  return kSuffixes[index_of(style)];
}

EmojiPictures::EmojiPictures(const fs::path& sources) {
  files_[index_of(Style::k3d)] =
      files_by_code(sources / "@lobehub/fluent-emoji-3d/assets", ".webp");
  files_[index_of(Style::kOutline)] = files_by_code(sources / "openmoji/color/svg", ".svg");
  files_[index_of(Style::kCartoon)] =
      files_by_code(sources / "emoji-datasource-google/img/google/64", ".png");
  drawings_[index_of(Style::kCartoon)] = read_iconify(sources / "@iconify-json/noto");
  drawings_[index_of(Style::kFlat)] = read_iconify(sources / "@iconify-json/twemoji");
}

std::vector<std::string> EmojiPictures::codes(Style style) const {
  std::set<std::string> codes;
  for (const auto& [code, path] : files_[index_of(style)]) codes.insert(code);
  for (const auto& [code, text] : drawings_[index_of(style)]) codes.insert(code);
  return {codes.begin(), codes.end()};
}

bool EmojiPictures::has(Style style, std::string_view code) const {
  return files_[index_of(style)].contains(code) || drawings_[index_of(style)].contains(code);
}

bool EmojiPictures::has_all_styles(std::string_view code) const {
  return std::all_of(kStyles.begin(), kStyles.end(), [&](Style style) { return has(style, code); });
}

Image EmojiPictures::load(Style style, std::string_view code, int size) const {
  const auto drawing = drawings_[index_of(style)].find(code);
  const bool is_drawing = drawing != drawings_[index_of(style)].end();
  const auto file = files_[index_of(style)].find(code);
  if (is_drawing || (file != files_[index_of(style)].end() && file->second.extension() == ".svg")) {
    const int inner = style == Style::kFlat ? static_cast<int>(size * kFlatShare / 2) * 2 : size;
    return pad_sprite(
        draw_svg(is_drawing ? drawing->second : read_file(file->second), inner, inner), size, size);
  }
  check_user(file != files_[index_of(style)].end(), "no emoji ", code, " in style ",
             style_name(style));
  return pad_sprite(fit_sprite(read_sprite(file->second), size, size), size, size);
}

}  // namespace i1
