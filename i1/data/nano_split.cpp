#include "i1/data/nano_split.h"

#include <algorithm>

#include "i1/data/nano_key.h"

namespace i1 {
namespace {

template <class... Parts>
std::string joined(const Parts&... parts) {
  std::string key;
  ((key.append(key.empty() ? "" : "/").append(parts)), ...);
  return key;
}

bool is_hidden(const std::string& key) { return key_share(key) < kHiddenShare; }

}  // namespace

const char* style_name(Style style) {
  constexpr std::array<const char*, 4> kNames = {"3d", "outline", "cartoon", "flat"};
  return kNames[static_cast<size_t>(style)];
}

bool is_grid_cell_hidden(std::string_view concept_name, std::string_view gender,
                         std::string_view tone, Style style) {
  return is_hidden(joined("grid", concept_name, gender, tone, style_name(style)));
}

std::optional<Style> hidden_style(std::string_view code) {
  const std::string key = joined("style", code);
  if (!is_hidden(key)) return std::nullopt;
  return kStyles[key_hash(key + "/which") % kStyles.size()];
}

bool is_shape_color_hidden(std::string_view shape, std::string_view color) {
  return is_hidden(joined("shape", shape, color));
}

bool is_pair_hidden(std::string_view first, std::string_view second) {
  return is_hidden(joined("pair", std::min(first, second), std::max(first, second)));
}

bool is_count_hidden(int count, std::string_view object) {
  return is_hidden(joined("count", std::to_string(count), object));
}

bool is_object_color_hidden(std::string_view object, std::string_view color) {
  return is_hidden(joined("color", color, object));
}

bool is_word_hidden(std::string_view word) {
  std::string lower(word);
  for (char& letter : lower)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return is_hidden(joined("word", lower));
}

}  // namespace i1
