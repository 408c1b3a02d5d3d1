// What the training sets of `nano` never show, so that composition can be tested against true
// answers. A cell is hidden where key_share of its key (nano_key.h) is below 0.1. Keys:
//
//   grid/CONCEPT/GENDER/TONE/STYLE   a person drawn with a skin tone grid/astronaut/woman/dark/3d
//   style/CODE                       hides one style of a concept without skin tone: number
//                                    key_hash("style/CODE/which") mod 4 of the order below
//   shape/SHAPE/COLOR                a silhouette in a colour            shape/crab claw/green
//   pair/A/B                         two objects in one scene, A < B     pair/cat/dog
//   count/N/OBJECT                   N of one object in a scene          count/3/cat
//   color/COLOR/OBJECT               a recoloured object                 color/blue/apple
//   word/WORD                        a written word, lower case          word/hello
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace i1 {

inline constexpr double kHiddenShare = 0.1;

/// The four ways in which every emoji concept is drawn, in the order of the keys above.
enum class Style { k3d, kOutline, kCartoon, kFlat };
inline constexpr std::array<Style, 4> kStyles = {Style::k3d, Style::kOutline, Style::kCartoon,
                                                 Style::kFlat};
const char* style_name(Style style);  ///< "3d", "outline", "cartoon", "flat"

bool is_grid_cell_hidden(std::string_view concept_name, std::string_view gender,
                         std::string_view tone, Style style);
/// The style in which the concept with these code points ("1f427") is hidden, if it is in the tenth
/// that hides one.
std::optional<Style> hidden_style(std::string_view code);
bool is_shape_color_hidden(std::string_view shape, std::string_view color);
bool is_pair_hidden(std::string_view first, std::string_view second);  ///< in either order
bool is_count_hidden(int count, std::string_view object);
bool is_object_color_hidden(std::string_view object, std::string_view color);
bool is_word_hidden(std::string_view word);  ///< ASCII; upper and lower case are one word

}  // namespace i1
