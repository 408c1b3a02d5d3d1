#include "i1/data/nano_clipart.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_picture.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr double kShare = 0.94;  // of the side; the rest is margin
constexpr int kMinClipart = 64, kMinStamp = 56;
constexpr size_t kMaxKeywords = 4;
constexpr int64_t kMaxNameWords = 9, kMaxDescriptionWords = 30;

const std::array<const char*, 4> kSkippedFolders = {"computer/icons/", "special/", "shapes/",
                                                    "recreation/games/cards/"};
// Titles of whole collections; the file name says more.
const std::array<const char*, 18> kCollectionTitles = {
    "clipart by",     "various cliparts", "aiga",
    "svg road signs", "australian maps",  "etiquette icons",
    "r16 s",          "blueberry",        "map symbols",
    "homes clipart",  "advertising",      "sallite",
    "lemon svg",      "road signs",       "pc connectors",
    "boating rules",  "untitled",         "new "};
const std::array<const char*, 17> kKeywordNoise = {
    "hash",     "0x",        "icon",       "theme",    "unsorted", "clip",
    "sign and", "signs and", "united nat", "r16",      "mapsym",   "weather",
    "symbol",   "musics",    "network",    "roadsign", "architett"};
// Alone they say too little of what is seen.
const WordSet kVagueKeywords = word_set(
    "office|tool|tools|building|people|clothing|computer|container|education|"
    "science|recreation|transport|transportation|sign|place");
// Marks of versions at the end of file names: contour, black and white, medium, initials.
const WordSet kVersionMarks = word_set("bw|md|aj|bn|aiga");

// The text between the first `open` and the next `close`; empty where there is none.
std::string_view between(std::string_view text, std::string_view open, std::string_view close) {
  const size_t begin = text.find(open);
  if (begin == std::string_view::npos) return {};
  const size_t end = text.find(close, begin + open.size());
  if (end == std::string_view::npos) return {};
  return text.substr(begin + open.size(), end - begin - open.size());
}

std::string unescape_xml(std::string_view text) {
  static const std::array<std::pair<std::string_view, char>, 6> kEntities = {{{"&amp;", '&'},
                                                                              {"&lt;", '<'},
                                                                              {"&gt;", '>'},
                                                                              {"&quot;", '"'},
                                                                              {"&apos;", '\''},
                                                                              {"&#39;", '\''}}};
  std::string plain;
  while (!text.empty()) {
    size_t used = 1;
    char letter = text.front();
    for (const auto& [entity, value] : kEntities) {
      if (text.starts_with(entity)) used = entity.size(), letter = value;
    }
    plain += letter;
    text.remove_prefix(used);
  }
  return plain_text(plain);
}

// Words of letters, in lower case; everything else divides.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (std::isalpha(byte) != 0 || byte >= 0x80 || letter == '\'') {
      words.back() += static_cast<char>(std::tolower(byte));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::vector<std::string> tokens_of(std::string_view stem) {
  std::string spaced(stem);
  for (char& letter : spaced)
    if (letter == '_' || letter == '-') letter = ' ';
  return split_trimmed(spaced, ' ');
}

bool has_digit(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char letter) { return std::isdigit(letter) != 0; });
}

// "siamese cat 2", "blueman#206" -> without the number.
std::string without_number(std::string text) {
  while (!text.empty() &&
         (std::isdigit(static_cast<unsigned char>(text.back())) != 0 || text.back() == '#' ||
          text.back() == ' ' || text.back() == '.' || text.back() == '-')) {
    text.pop_back();
  }
  return text;
}

// "tree - RPG map elements" -> "tree"; "hat - clothing" -> "hat".
std::string clean_title(std::string title) {
  std::replace(title.begin(), title.end(), '_', ' ');
  title = to_lower(plain_text(title));
  if (std::any_of(kCollectionTitles.begin(), kCollectionTitles.end(),
                  [&](const char* collection) { return title.starts_with(collection); })) {
    return "";
  }
  for (const char* suffix : {" - rpg", " - body", " - clothing", " svg", " (", " - r16"})
    title = title.substr(0, title.find(suffix));
  if (title.starts_with("historic - ")) title = title.substr(11);
  if (const size_t dash = title.find(" - "); dash != std::string::npos)
    title.replace(dash, 3, ", ");
  if (title.ends_with("-aj")) title.resize(title.size() - 3);
  return without_number(title);
}

std::vector<std::string> clean_keywords(const std::vector<std::string>& keywords,
                                        const std::string& name, const Vocabulary& vocabulary) {
  std::vector<std::string> clean;
  for (std::string keyword : keywords) {
    std::replace(keyword.begin(), keyword.end(), '_', ' ');
    keyword = to_lower(plain_text(keyword));
    const bool is_noise =
        std::any_of(kKeywordNoise.begin(), kKeywordNoise.end(),
                    [&](const char* noise) { return keyword.find(noise) != std::string::npos; });
    if (is_noise || keyword.size() < 3 || has_digit(keyword) || !is_english(keyword, vocabulary) ||
        name.find(keyword) != std::string::npos ||
        std::find(clean.begin(), clean.end(), keyword) != clean.end()) {
      continue;
    }
    clean.push_back(keyword);
  }
  if (clean.size() > kMaxKeywords) clean.resize(kMaxKeywords);
  return clean;
}

// Where the folder says what kind of thing a short name names.
std::string with_kind(const std::string& name, const std::string& path, bool is_road_sign) {
  const auto lacks = [&](const char* word) { return name.find(word) == std::string::npos; };
  if (path.find("/aiga_") != std::string::npos) return name + " sign";
  if (is_road_sign) return lacks("sign") ? name + " road sign" : name;
  if (path.find("/flags/semaphore") != std::string::npos) return name;
  if (path.find("/flags/") != std::string::npos && lacks("flag")) return "flag of " + name;
  return name;
}

// One diligent contributor named everything in Italian, much of which looks like English.
bool is_italian(const ClipartRecord& record, const std::string& stem) {
  const std::string creator = to_lower(record.creator);
  return creator.find("architetto") != std::string::npos ||
         creator.find("rollandin") != std::string::npos ||
         stem.find("_archi") != std::string::npos || stem.find("rollandin") != std::string::npos;
}

std::string find_name(const ClipartRecord& record, const std::string& path,
                      const Vocabulary& vocabulary) {
  const std::string stem = path.substr(path.rfind('/') + 1);
  if (is_italian(record, stem)) return "";
  const bool is_flag = path.find("/flags/") != std::string::npos;  // countries are no vocabulary
  const bool is_road_sign = path.find("roadsigns/") != std::string::npos ||
                            std::find(record.keywords.begin(), record.keywords.end(), "roadsign") !=
                                record.keywords.end();
  for (const std::string& name : {clean_title(record.title), name_of_stem(stem, record.creator)}) {
    if (name.size() > 1 && count_words(name) <= kMaxNameWords &&
        name.find('@') == std::string::npos && (is_flag || is_english(name, vocabulary)))
      return with_kind(name, path, is_road_sign);
  }
  return "";
}

bool shares_a_word(const std::string& text, const std::string& name) {
  const std::vector<std::string> words = words_of(text), names = words_of(name);
  return std::any_of(names.begin(), names.end(), [&](const std::string& word) {
    return word.size() > 2 && std::find(words.begin(), words.end(), word) != words.end();
  });
}

bool is_sentence(const std::string& text, const Vocabulary& vocabulary) {
  const int64_t num_words = count_words(text);
  return num_words >= 4 && num_words <= kMaxDescriptionWords && is_english(text, vocabulary) &&
         text.find_first_of("@<>{}") == std::string::npos &&
         text.find("http") == std::string::npos && text.find("svg") == std::string::npos &&
         text.find("nkscape") == std::string::npos;
}

std::vector<fs::path> sorted_files(const fs::path& folder) {
  check_user(fs::is_directory(folder), folder.string(),
             ": no such folder; fetch the packages with tools/fetch_nano_data.sh");
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Trimmed to what can be seen, in the middle of white.
Image draw_cut_out(const fs::path& path, int size) {
  const Image sprite = path.extension() == ".svg" ? draw_svg(read_file(path), size * 2, size * 2)
                                                  : read_sprite(path);
  return centred(trim(sprite), size, kShare, kWhite);
}

std::optional<std::string> why_left_out(const std::string& path, const ImageSize& size) {
  if (std::any_of(kSkippedFolders.begin(), kSkippedFolders.end(),
                  [&](const char* folder) { return path.starts_with(folder); })) {
    return "icons, cards, shapes, samples";
  }
  const auto [shorter, longer] = std::minmax(size.width, size.height);
  if (int64_t{size.width} * size.height > kMaxPixels) return "too many pixels";
  if (shorter < kMinClipart) return "shorter edge under 64";
  if (longer > 2 * shorter) return "longer than twice the width";
  return std::nullopt;
}

}  // namespace

ClipartRecord read_clipart_record(std::string_view svg) {
  ClipartRecord record;
  const std::string_view work = between(svg, "<cc:Work", "</cc:Work>");
  record.creator = unescape_xml(
      between(between(work, "<dc:creator>", "</dc:creator>"), "<dc:title>", "</dc:title>"));
  // The agents have titles too; the work's own one stands outside of them.
  std::string own;
  for (std::string_view rest = work; !rest.empty();) {
    const size_t begin = std::min(rest.find("<cc:Agent"), rest.size());
    own += rest.substr(0, begin);
    const size_t end = rest.find("</cc:Agent>", begin);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 11);
  }
  record.title = unescape_xml(between(own, "<dc:title>", "</dc:title>"));
  record.description = unescape_xml(between(own, "<dc:description>", "</dc:description>"));
  for (std::string_view rest = own; rest.find("<rdf:li>") != std::string_view::npos;) {
    const std::string_view keyword = between(rest, "<rdf:li>", "</rdf:li>");
    if (!keyword.empty()) record.keywords.push_back(unescape_xml(keyword));
    rest = rest.substr(rest.find("<rdf:li>") + 8);
  }
  return record;
}

Vocabulary read_vocabulary(const fs::path& sources) {
  Vocabulary vocabulary;
  const std::string text = read_file(sources / "wamerican/usr/share/dict/american-english");
  for (const std::string& word : split_trimmed(text, '\n')) vocabulary.insert(to_lower(word));
  return vocabulary;
}

bool is_english(std::string_view text, const Vocabulary& vocabulary) {
  int known = 0, total = 0;
  for (const std::string& word : words_of(text)) {
    if (word.size() < 3) continue;
    ++total;
    known += vocabulary.contains(word);
  }
  return known > 0 && known * 10 >= total * 6;
}

std::string name_of_stem(std::string_view stem, std::string_view creator) {
  std::vector<std::string> tokens = tokens_of(to_lower(stem));
  while (tokens.size() > 1 && (has_digit(tokens.back()) || tokens.back() == ".")) tokens.pop_back();
  const std::vector<std::string> names = words_of(creator);
  // The creator's words stand last, the very last one perhaps cut short.
  for (size_t begin = 1; begin < tokens.size() && !names.empty(); ++begin) {
    const size_t length = tokens.size() - begin;
    bool matches = length <= names.size();
    for (size_t i = 0; matches && i < length; ++i) {
      const std::string token =
          words_of(tokens[begin + i]).empty() ? "" : words_of(tokens[begin + i]).front();
      matches = !token.empty() && names[i].starts_with(token);
    }
    if (matches) tokens.resize(begin);
  }
  std::string name;
  for (const std::string& token : tokens) {
    if (!kVersionMarks.contains(token)) name += (name.empty() ? std::string() : " ") + token;
  }
  return without_number(name);
}

std::vector<std::string> clipart_captions(const ClipartRecord& record, const std::string& path,
                                          const Vocabulary& vocabulary) {
  const std::string name = find_name(record, path, vocabulary);
  const std::vector<std::string> keywords = clean_keywords(record.keywords, name, vocabulary);
  std::string listed;
  for (const std::string& keyword : keywords) listed += ", " + keyword;
  if (name.empty()) {
    if (keywords.empty() || (keywords.size() == 1 && kVagueKeywords.contains(keywords[0])))
      return {};
    return {listed.substr(2), "clip art" + listed};
  }
  std::vector<std::string> captions = {name, "clip art of " + with_article(name)};
  if (!keywords.empty()) captions.push_back(name + listed);
  const std::string description = plain_text(record.description);
  if (is_sentence(description, vocabulary) && shares_a_word(description, name))
    captions.push_back(description);
  return captions;
}

NanoSet make_clipart_set(const fs::path& sources) {
  const fs::path pictures = sources / "openclipart-png/usr/share/openclipart/png";
  const fs::path records = sources / "openclipart-svg/usr/share/openclipart/svg";
  const Vocabulary vocabulary = read_vocabulary(sources);
  NanoSet set;
  set.name = "clipart";
  for (const fs::path& file : sorted_files(pictures)) {
    const std::string path = fs::relative(file, pictures).replace_extension().generic_string();
    const MappedFile bytes(file);
    if (const auto reason = why_left_out(path, probe_image(bytes.bytes(), file.string()))) {
      ++set.left_out[*reason];
      continue;
    }
    const fs::path svg = records / (path + ".svg");
    const ClipartRecord record =
        fs::exists(svg) ? read_clipart_record(read_file(svg)) : ClipartRecord();
    NanoItem item;
    item.name = path;
    item.captions = clipart_captions(record, path, vocabulary);
    if (item.captions.empty()) {
      ++set.left_out["no English caption"];
      continue;
    }
    item.metadata = {{"creator", record.creator}};
    item.draw = [file](int size) { return draw_cut_out(file, size); };
    set.items.push_back(std::move(item));
  }
  return set;
}

std::vector<std::string> stamp_captions(std::string_view first_line) {
  const std::string sentence = plain_text(first_line);
  if (sentence.empty()) return {};
  std::string phrase = sentence;
  if (phrase.find('.') == phrase.size() - 1) phrase.pop_back();
  const bool starts_with_article =
      phrase.starts_with("A ") || phrase.starts_with("An ") || phrase.starts_with("The ");
  if (starts_with_article) phrase[0] = static_cast<char>(std::tolower(phrase[0]));
  if (phrase == sentence) return {sentence};
  return {phrase, sentence};
}

NanoSet make_stamps_set(const fs::path& sources) {
  const fs::path folder = sources / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps";
  NanoSet set;
  set.name = "stamps";
  for (const fs::path& file : sorted_files(folder)) {
    const bool is_svg = file.extension() == ".svg";
    if (!is_svg && file.extension() != ".png") continue;
    const fs::path text = fs::path(file).replace_extension(".txt");
    NanoItem item;
    item.name = fs::relative(file, folder).generic_string();
    if (fs::exists(text)) {
      const std::string lines = read_file(text);
      item.captions = stamp_captions(std::string_view(lines).substr(0, lines.find('\n')));
    }
    if (item.captions.empty()) {
      ++set.left_out["no sentence"];
      continue;
    }
    if (!is_svg) {
      const MappedFile bytes(file);
      const ImageSize size = probe_image(bytes.bytes(), file.string());
      if (std::max(size.width, size.height) < kMinStamp) {
        ++set.left_out["under 56 pixels"];
        continue;
      }
    }
    item.metadata = nlohmann::ordered_json::object();
    item.draw = [file](int size) { return draw_cut_out(file, size); };
    set.items.push_back(std::move(item));
  }
  return set;
}

}  // namespace i1
