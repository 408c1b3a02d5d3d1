// From the names of emoji and clip art to short natural English: "woman astronaut: medium-dark skin
// tone" becomes "a woman astronaut with medium-dark skin". Rules first, short lists for what rules
// cannot know; the names are those of Unicode CLDR.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace i1 {

/// ASCII letters in lower case; other bytes as they are.
std::string to_lower(std::string_view text);
/// Text between `separator`s, without the spaces around it; empty parts are left out.
std::vector<std::string> split_trimmed(std::string_view text, char separator);
using WordSet = std::set<std::string, std::less<>>;
/// "cat|dog" -> {"cat", "dog"}
WordSet word_set(std::string_view words);
/// "a", "a and b", "a, b and c".
std::string join_and(const std::vector<std::string>& parts);
/// Curly quotes and dashes as ASCII, runs of spaces as one, no space at the ends.
std::string plain_text(std::string_view text);

/// The name of an emoji file or hexcode in the one form that all packages share: lower case, parts
/// joined by '-', no leading zeros, without the variation selector fe0f ("0039-FE0F-20E3" and
/// "39-20e3" are both "39-20e3").
std::string normalized_code(std::string_view code);

/// A CLDR label without article, skin tones last: "flag of Kenya", "man with a beard", "family of a
/// man and a girl", "waving hand with dark skin".
std::string name_of_label(std::string_view label);

/// `name` as it stands in a sentence: "a penguin", "an owl", "scissors", "the flag of Kenya".
std::string with_article(std::string_view name);

/// True where the name already stands for several ("scissors", "two hearts", "clapping hands").
bool is_plural(std::string_view name);
/// True where the name takes neither article nor number ("bread", "tennis", "thumbs up").
bool is_uncountable(std::string_view name);
/// "red apple" -> "red apples", "slice of pizza" -> "slices of pizza". Wants a countable singular.
std::string plural(std::string_view name);

/// The words of a caption as a text encoder roughly sees them: spaces and punctuation divide.
/// Captions of `nano` keep below 40 of them, which is well below 64 tokens.
int64_t count_words(std::string_view text);

}  // namespace i1
