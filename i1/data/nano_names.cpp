#include "i1/data/nano_names.h"

#include <algorithm>
#include <array>
#include <utility>

namespace i1 {
namespace {

// Words after which the rest of a name only describes what stands before them.
const WordSet kAfterHead = word_set(
    "with|of|in|on|behind|without|over|from|at|for|under|showing|and|holding|"
    "hugging|wrestling|to|by|facing|up|down|curving|pointing");

const WordSet kUncountable = word_set(
    "zzz|dizzy|dashing away|rolling on the floor laughing|star-struck|hundred points|"
    "breast-feeding|nail polish|thumbs up|thumbs down|mrs. claus|mx claus|santa claus|"
    "horse racing|bread|bacon|butter|garlic|broccoli|cooked rice|curry rice|custard|"
    "fondue|canned food|popcorn|salt|sake|sushi|spaghetti|ice|oden|mate|"
    "ginger root|green salad|shaved ice|pouring liquid|cooking|leafy green|"
    "baguette bread|fog|foggy|fire|high voltage|camping|construction|"
    "building construction|wood|luggage|mount fuji|light rail|american football|"
    "badminton|baseball|basketball|bowling|field hockey|ice hockey|lacrosse|ping pong|"
    "performing arts|softball|tennis|volleyball|yarn|thread|dna|soap|locked|"
    "unlocked|shrimp|fried shrimp|locked with key|locked with pen|coral|"
    "money with wings|rugby football|honey|cheese|milk|meat|meat on bone|chocolate|"
    "stuffed flatbread|flatbread|litter in bin sign|water|seaweed|lipstick|"
    "playing cards|moon viewing ceremony|aquarius|aries|cancer|capricorn|gemini|leo|"
    "libra|ophiuchus|pisces|sagittarius|scorpio|taurus|virgo|infinity|om|copyright|"
    "registered|trade mark|information|wireless|radioactive|biohazard|potable water|"
    "non-potable water|prohibited|children crossing|customs|baggage claim|cinema|"
    "left luggage|passport control|currency exchange|mobile phone off|no entry|yin yang|"
    "divide|minus|multiply|plus|vibration mode|warning|sparkles|vinyl|hair|"
    "pile of poo|boule bread|oil spill|flood|wind energy|solar energy|lightning|rain|"
    "snow|smoke|grass|sand|mud|hay|straw|bamboo|wheat|corn|rice|pasta|"
    "pizza dough|jam|sugar|pepper|mustard|ketchup|armor|armour|furniture|jewelry|"
    "clothing|money|music|art");

// Singulars that end in s, and plurals that do not.
const WordSet kSingularS = word_set(
    "cactus|bus|minibus|trolleybus|glass|compass|canvas|hippopotamus|octopus|"
    "rhinoceros|lotus|hibiscus|walrus|cross|dress|lens|gas|christmas|abacus|"
    "hourglass|iris|bass|mattress|princess|dominoes|caduceus|papyrus|virus|"
    "asparagus|citrus|crocus|tennis|chess|grass|brass|kiss|moss|fortress|waitress|"
    "trellis|tardis|oasis|atlas|pancreas|chassis|platypus|tyrannosaurus|triceratops|"
    "diplodocus|brontosaurus|stegosaurus|sarcophagus|cumulus|eucalyptus|narcissus|"
    "venus|mars|uranus|trident emblems|swiss|cutlass|ibis|mantis|cyclops|pegasus|"
    "colossus|bonus|focus|wheel of dharma|radius|discus|harness|press|fleur-de-lis|"
    "diamonds suit");
const WordSet kPlural = word_set("men|women|people|children|teeth|feet|mice|geese|dice");
const WordSet kSameInPlural = word_set(
    "fish|sheep|deer|moose|bison|squid|salmon|trout|aircraft|series|swine|buffalo|"
    "water buffalo");
const std::array<std::pair<const char*, const char*>, 20> kIrregular = {{{"man", "men"},
                                                                         {"woman", "women"},
                                                                         {"person", "people"},
                                                                         {"child", "children"},
                                                                         {"tooth", "teeth"},
                                                                         {"foot", "feet"},
                                                                         {"mouse", "mice"},
                                                                         {"goose", "geese"},
                                                                         {"leaf", "leaves"},
                                                                         {"knife", "knives"},
                                                                         {"wolf", "wolves"},
                                                                         {"loaf", "loaves"},
                                                                         {"elf", "elves"},
                                                                         {"shelf", "shelves"},
                                                                         {"scarf", "scarves"},
                                                                         {"tomato", "tomatoes"},
                                                                         {"potato", "potatoes"},
                                                                         {"mango", "mangoes"},
                                                                         {"mosquito", "mosquitoes"},
                                                                         {"ox", "oxen"}}};

// Heard with another first sound than they are written with.
const std::array<const char*, 15> kVowelSound = {"x-ray", "hour", "honest", "sos ", "ng ",
                                                 "atm",   "heir", "mri",    "rv",   "lcd ",
                                                 "led ",  "h ",   "s ",     "n ",   "x "};
const std::array<const char*, 14> kConsonantSound = {
    "uni", "one",     "euro",   "ewe",     "ufo", "usb",        "u-",
    "use", "ukulele", "uranus", "utensil", "us ", "eucalyptus", "uk "};

bool starts_with_any(std::string_view text, const auto& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return text.starts_with(prefix); });
}

// The part of a name up to its head noun: "face" of "face with tears of joy".
std::string_view up_to_head(std::string_view name) {
  for (size_t space = name.find(' '); space != std::string_view::npos;
       space = name.find(' ', space + 1)) {
    const std::string_view next = name.substr(space + 1, name.find(' ', space + 1) - space - 1);
    if (kAfterHead.contains(next)) return name.substr(0, space);
  }
  return name;
}

std::string head_noun(std::string_view name) {
  const std::string_view head = up_to_head(name);
  return to_lower(head.substr(head.rfind(' ') + 1));
}

bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return text.ends_with(ending); });
}

std::string flag_name(std::string country) {
  for (const std::string_view prefix :
       {"United ", "Netherlands", "Philippines", "Bahamas", "Maldives", "Gambia", "Comoros",
        "European Union", "Dominican R", "Central African", "British ", "Isle of", "Vatican",
        "Congo", "French Southern", "Caribbean"}) {
    if (country.starts_with(prefix)) return "flag of the " + country;
  }
  if (ends_with_any(country, {"Islands", "Territories", "Territory"})) country = "the " + country;
  return "flag of " + country;
}

std::string with_articles_and(std::vector<std::string> people) {
  for (std::string& person : people) person = with_article(person);
  return join_and(people);
}

// "man" with {"red hair"} or {"bald"} -> "man with red hair", "bald man".
std::string with_features(std::string name, const std::vector<std::string>& features) {
  std::vector<std::string> had;
  std::string direction;
  for (const std::string& feature : features) {
    if (feature.starts_with("facing ")) {
      direction = " " + feature;
    } else if (feature == "bald") {
      name = "bald " + name;
    } else {
      had.push_back(feature == "beard" ? "a beard" : feature);
    }
  }
  name += direction;
  if (had.empty()) return name;
  return name + (name.find(" with ") == std::string::npos ? " with " : " and ") + join_and(had);
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& letter : lower)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return lower;
}

std::vector<std::string> split_trimmed(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    std::string_view part = text.substr(0, end);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

WordSet word_set(std::string_view words) {
  const std::vector<std::string> parts = split_trimmed(words, '|');
  return {parts.begin(), parts.end()};
}

std::string join_and(const std::vector<std::string>& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i)
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  return text;
}

std::string plain_text(std::string_view text) {
  static const std::array<std::pair<std::string_view, std::string_view>, 8> kPlain = {
      {{"\u2018", "'"},
       {"\u2019", "'"},
       {"\u201c", "\""},
       {"\u201d", "\""},
       {"\u2013", "-"},
       {"\u2014", "-"},
       {"\u2026", "..."},
       {"\u00a0", " "}}};
  std::string plain;
  while (!text.empty()) {
    size_t used = 1;
    std::string_view written = text.substr(0, 1);
    for (const auto& [from, to] : kPlain) {
      if (text.starts_with(from)) used = from.size(), written = to;
    }
    if (written == "\t" || written == "\n" || written == "\r") written = " ";
    if (written != " " || (!plain.empty() && plain.back() != ' ')) plain += written;
    text.remove_prefix(used);
  }
  while (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

std::string normalized_code(std::string_view code) {
  std::string lower = to_lower(code), normal;
  std::replace(lower.begin(), lower.end(), '_', '-');
  for (const std::string& part : split_trimmed(lower, '-')) {
    const size_t begin = std::min(part.find_first_not_of('0'), part.size() - 1);
    if (part.substr(begin) == "fe0f") continue;
    if (!normal.empty()) normal += '-';
    normal.append(part, begin);
  }
  return normal;
}

std::string name_of_label(std::string_view label) {
  const std::string text = plain_text(label);
  const size_t colon = text.find(": ");
  if (colon == std::string::npos) return text;
  const std::string base = text.substr(0, colon), rest = text.substr(colon + 2);
  if (base == "flag") {
    std::string country = rest;
    if (const size_t sign = country.find(" & "); sign != std::string::npos)
      country.replace(sign, 3, " and ");
    return flag_name(country);
  }
  if (base == "keycap") return "keycap " + rest;

  std::vector<std::string> people, tones, features;
  for (const std::string& part : split_trimmed(rest, ',')) {
    if (part.ends_with(" skin tone")) {
      tones.push_back(part.substr(0, part.size() - std::string(" skin tone").size()));
    } else {
      (ends_with_any(part, {"man", "person", "boy", "girl"}) ? people : features).push_back(part);
    }
  }
  std::string name = base;
  if (!people.empty())
    name += (base == "kiss"     ? " between "
             : base == "family" ? " of "
                                : ": ") +
            with_articles_and(people);
  if (!tones.empty()) features.push_back(join_and(tones) + " skin");
  return with_features(name, features);
}

bool is_plural(std::string_view name) {
  if (starts_with_any(name, std::array{"man ", "woman ", "person "})) return false;
  const std::string head = head_noun(name);
  if (kPlural.contains(head)) return true;
  return head.ends_with('s') && !ends_with_any(head, {"ss", "'s"}) && !kSingularS.contains(head);
}

bool is_uncountable(std::string_view name) {
  const std::string lower = to_lower(name);
  return kUncountable.contains(lower) || ends_with_any(lower, {"o'clock", "-thirty"}) ||
         starts_with_any(lower, std::array{"no ", "input ", "keycap ", "regional indicator "});
}

std::string with_article(std::string_view name) {
  const std::string text(name), lower = to_lower(name);
  if (lower.starts_with("flag of ") || lower.starts_with("statue of ") ||
      lower.starts_with("great ") || lower == "milky way" || lower.starts_with("colossus of") ||
      lower.starts_with("lighthouse of") || lower.starts_with("hanging gardens") ||
      lower.starts_with("temple of")) {
    return "the " + text;
  }
  if (name.starts_with("the ") || name.starts_with("a ") || name.starts_with("an ") ||
      is_uncountable(name) || is_plural(name)) {
    return text;
  }
  const bool vowel = std::string_view("aeiou").find(lower.front()) != std::string_view::npos;
  const bool an =
      starts_with_any(lower, kVowelSound) || (vowel && !starts_with_any(lower, kConsonantSound));
  return (an ? "an " : "a ") + text;
}

std::string plural(std::string_view name) {
  const std::string_view head = up_to_head(name);
  const std::string rest(name.substr(head.size()));
  std::string text(head);
  const std::string noun = head_noun(name);
  if (kSameInPlural.contains(noun) || noun.ends_with("fish")) return std::string(name);
  for (const auto& [one, many] : kIrregular) {
    const bool is_compound = noun.size() > 3 && std::string_view(one).ends_with("man") &&
                             noun.ends_with("man") && noun != "human";
    if (noun == one || is_compound) {
      if (is_compound && noun != one) return text.substr(0, text.size() - 2) + "en" + rest;
      return text.substr(0, text.size() - std::string(one).size()) + many + rest;
    }
  }
  const bool consonant_y =
      noun.size() > 1 && noun.ends_with('y') &&
      std::string_view("aeiou").find(noun[noun.size() - 2]) == std::string_view::npos;
  if (consonant_y) return text.substr(0, text.size() - 1) + "ies" + rest;
  return text + (ends_with_any(noun, {"s", "x", "z", "ch", "sh"}) ? "es" : "s") + rest;
}

int64_t count_words(std::string_view text) {
  int64_t count = 0;
  bool in_word = false;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    const bool is_letter = byte >= 0x80 || std::isalnum(byte) != 0;
    if (is_letter ? !in_word : letter != ' ') ++count;
    in_word = is_letter;
  }
  return count;
}

}  // namespace i1
