// The `clipart` and `stamps` sets: drawings and cut-outs whose captions have to be found among
// titles, file names and keywords of very mixed quality.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "i1/data/nano_set.h"

namespace i1 {

/// What an Open Clip Art file says about itself (its RDF block); empty where it does not.
struct ClipartRecord {
  std::string title, description, creator;
  std::vector<std::string> keywords;
};
ClipartRecord read_clipart_record(std::string_view svg);

/// English words in lower case, to tell which titles are English.
using Vocabulary = std::set<std::string, std::less<>>;
Vocabulary read_vocabulary(const std::filesystem::path& sources);
/// True where at least 60 % of the words of three and more letters are in the vocabulary, and one
/// is.
bool is_english(std::string_view text, const Vocabulary& vocabulary);

/// "bulldog_puppy_ganson_01" by "Ganson" -> "bulldog puppy": underscores, trailing numbers and the
/// creator's name (which the collection's file names cut at some length) are removed.
std::string name_of_stem(std::string_view stem, std::string_view creator);

/// The captions of the file `path` ("food/meats_and_eggs/hot_dog"): its name, "clip art of ..." it,
/// the name with keywords, its description. Empty where nothing says in English what it shows.
std::vector<std::string> clipart_captions(const ClipartRecord& record, const std::string& path,
                                          const Vocabulary& vocabulary);

/// Debian openclipart-png and -svg. Left out: other collections' icons, cards, shapes and samples;
/// pictures under 64 pixels, over kMaxPixels or more than twice as long as wide.
NanoSet make_clipart_set(const std::filesystem::path& sources);

/// "A lion." -> {"a lion", "A lion."}
std::vector<std::string> stamp_captions(std::string_view first_line);

/// Debian tuxpaint-stamps-default. Left out: pictures without a sentence, or with both sides under
/// 56 pixels.
NanoSet make_stamps_set(const std::filesystem::path& sources);

}  // namespace i1
