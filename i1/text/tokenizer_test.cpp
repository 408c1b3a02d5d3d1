#include "i1/text/tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "i1/core/testing.h"
#include "i1/text/fuzz_tokenizer.h"

namespace i1 {
namespace {

using nlohmann::json;
using Ids = std::vector<int64_t>;

#define SPACE "\u2581"

// A tokenizer of Gemma's form with a dozen pieces: "ab" before "bc", "abc" from "ab" and "c".
json small_tokenizer() {
  json vocab = {{"<pad>", 0}, {"<eos>", 1}, {"<bos>", 2}, {"<unk>", 3}, {"a", 4},   {"b", 5},
                {"c", 6},     {SPACE, 7},   {"ab", 8},    {"bc", 9},    {"abc", 10}};
  for (int byte = 0; byte < 256; ++byte)
    vocab[byte_piece(static_cast<unsigned char>(byte))] = 20 + byte;
  const json merges = json::parse(R"([["a", "b"], ["b", "c"], ["ab", "c"]])");
  const auto added = [](int id, const char* text, bool special) {
    return json{{"id", id}, {"content", text}, {"special", special}, {"normalized", false}};
  };
  return {{"added_tokens",
           {added(0, "<pad>", true), added(1, "<eos>", true), added(2, "<bos>", true),
            added(300, "<b>", false), added(301, "<b>c", false), added(302, SPACE SPACE, false)}},
          {"normalizer", {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", SPACE}}},
          {"pre_tokenizer",
           {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", SPACE}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}}}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", merges}}}};
}

Tokenizer load(const json& tokenizer, const json& config = nullptr) {
  const auto folder = fresh_folder("load");
  write_file_atomically(folder / "tokenizer.json", tokenizer.dump());
  if (!config.is_null()) write_file_atomically(folder / "tokenizer_config.json", config.dump());
  return load_tokenizer(folder);
}

void expect_error(const std::filesystem::path& path, const std::string& expected) {
  try {
    load_tokenizer(path);
    ADD_FAILURE() << "accepted: " << expected;
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
  }
}

TEST(Tokenizer, MergesByRankThenFromTheLeft) {
  const Tokenizer tokenizer = load(small_tokenizer());
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{10}));
  EXPECT_EQ(tokenizer.encode("bc"), (Ids{9}));
  EXPECT_EQ(tokenizer.encode("aabcab"), (Ids{4, 10, 8}));
  EXPECT_EQ(tokenizer.encode("a b"), (Ids{4, 7, 5}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
}

TEST(Tokenizer, TakesMergesAsStringsToo) {
  json strings = small_tokenizer();
  strings["model"]["merges"] = json::array({"a b", "b c", "ab c"});
  for (const char* text : {"abc", "bcab", "aabbcc"})
    EXPECT_EQ(load(strings).encode(text), load(small_tokenizer()).encode(text));
}

TEST(Tokenizer, CutsAddedTokensOutOfTheRawTextLeftmostAndLongest) {
  const Tokenizer tokenizer = load(small_tokenizer());
  EXPECT_EQ(tokenizer.encode("a<b>b"), (Ids{4, 300, 5}));
  EXPECT_EQ(tokenizer.encode("a<b>cb"), (Ids{4, 301, 5}));
  EXPECT_EQ(tokenizer.encode("ab<eos>c"), (Ids{8, 1, 6}));  // no merge across it
  EXPECT_EQ(tokenizer.encode(SPACE SPACE SPACE), (Ids{302, 7}));
  EXPECT_EQ(tokenizer.encode("   "), (Ids{7, 7, 7}));  // spaces become pieces only afterwards
  EXPECT_EQ(tokenizer.encode("<b").size(), 2u);
}

TEST(Tokenizer, TurnsWhatHasNoPieceIntoBytes) {
  const Tokenizer tokenizer = load(small_tokenizer());
  EXPECT_EQ(tokenizer.encode("\u00e9"), (Ids{20 + 0xC3, 20 + 0xA9}));
  EXPECT_EQ(tokenizer.encode("a\xFF\xE2\x96"), (Ids{4, 20 + 0xFF, 20 + 0xE2, 20 + 0x96}));
  EXPECT_EQ(tokenizer.encode(std::string("\0a", 2)), (Ids{20, 4}));
}

TEST(Tokenizer, WithoutByteFallbackARunOfUnknownCharactersIsOneToken) {
  json tokenizer = small_tokenizer();
  tokenizer["model"]["byte_fallback"] = false;
  EXPECT_EQ(load(tokenizer).encode("a\u00e9\u00e8"
                                   "b\xFF"),
            (Ids{4, 3, 5, 3}));
}

TEST(Tokenizer, AByteWithoutPieceMakesItsWholeCharacterUnknown) {
  json tokenizer = small_tokenizer();
  tokenizer["model"]["vocab"].erase("<0xA9>");
  EXPECT_EQ(load(tokenizer).encode("\u00e9\u00e8"), (Ids{3, 20 + 0xC3, 20 + 0xA8}));
}

TEST(Tokenizer, DecodesBytesToTextOrReplacementCharacters) {
  const Tokenizer tokenizer = load(small_tokenizer());
  EXPECT_EQ(tokenizer.decode(Ids{4, 20 + 0xC3, 20 + 0xA9, 7, 1}), "a\u00e9 <eos>");
  EXPECT_EQ(tokenizer.decode(Ids{4, 1, 300, 7}, /*skip_special=*/true), "a<b> ");
  EXPECT_EQ(tokenizer.decode(Ids{20 + 'x', 20 + 0xC3, 4}), "\uFFFD\uFFFDa");
  EXPECT_EQ(tokenizer.decode(Ids{}), "");
  EXPECT_THROW(tokenizer.decode(Ids{-1}), UserError);
  EXPECT_THROW(tokenizer.decode(Ids{303}), UserError);
}

TEST(Tokenizer, AddsNothingWithoutAConfig) {
  const Tokenizer tokenizer = load(small_tokenizer());
  EXPECT_FALSE(tokenizer.settings().add_bos || tokenizer.settings().add_eos);
  const PaddedIds padded = tokenizer.encode_padded("ab c", 5);
  EXPECT_EQ(padded.ids, (Ids{8, 7, 6, 0, 0}));
  EXPECT_EQ(padded.mask, (std::vector<uint8_t>{1, 1, 1, 0, 0}));
  EXPECT_EQ(padded.num_tokens, 3);
}

TEST(Tokenizer, APaddingTokenWrittenInThePromptIsNoPadding) {
  const PaddedIds padded = load(small_tokenizer()).encode_padded("<pad>a", 3);
  EXPECT_EQ(padded.ids, (Ids{0, 4, 0}));
  EXPECT_EQ(padded.mask, (std::vector<uint8_t>{1, 1, 0}));
}

TEST(Tokenizer, DoesWhatItsConfigSays) {
  const Tokenizer tokenizer = load(small_tokenizer(), {{"add_bos_token", true},
                                                       {"add_eos_token", true},
                                                       {"padding_side", "left"},
                                                       {"pad_token", {{"content", "c"}}}});
  EXPECT_EQ(tokenizer.encode("ab"), (Ids{2, 8, 1}));
  const PaddedIds padded = tokenizer.encode_padded("ab", 5);
  EXPECT_EQ(padded.ids, (Ids{6, 6, 2, 8, 1}));
  EXPECT_EQ(padded.mask, (std::vector<uint8_t>{0, 0, 1, 1, 1}));
}

TEST(Tokenizer, TruncationKeepsTheFirstTokensAndWhatIsAddedAround) {
  const Tokenizer plain = load(small_tokenizer());
  EXPECT_EQ(plain.encode_padded("acacac", 4).ids, (Ids{4, 6, 4, 6}));
  EXPECT_EQ(plain.encode_padded("acacac", 4).num_tokens, 6);
  EXPECT_EQ(plain.encode_padded("ac", 0).ids, Ids{});
  const Tokenizer around =
      load(small_tokenizer(), {{"add_bos_token", true}, {"add_eos_token", true}});
  EXPECT_EQ(around.encode_padded("acacac", 4).ids, (Ids{2, 4, 6, 1}));
  EXPECT_EQ(around.encode("acac", 2), (Ids{2, 1}));
  EXPECT_EQ(around.encode("acac", 1), (Ids{2}));
}

TEST(Tokenizer, WorkGrowsWithTheLengthOfTheText) {
  BpeModel model;
  for (const char* piece : {"a", "b", "aa", "ab", "aaaa", "aab", "bb", "abb"})
    model.add(static_cast<PieceId>(model.pieces.size()), piece);
  const auto merge = [&](const char* left, const char* right) {
    model.merges[BpeModel::pair_key(model.find(left), model.find(right))] = {
        static_cast<int32_t>(model.merges.size()), model.find(std::string(left) + right)};
  };
  merge("a", "a"), merge("a", "b"), merge("aa", "aa"), merge("aa", "b"), merge("b", "b");
  merge("ab", "b");
  std::mt19937 random(0);
  for (const size_t length : {1000, 10000, 1000000}) {
    std::string text(length, 'a');
    for (char& c : text) c = random() % 2 == 0 ? 'a' : 'b';
    for (const std::string& each : {text, std::string(length, 'a')}) {
      Ids ids;
      EXPECT_LE(model.encode(each, ids), static_cast<int64_t>(3 * length));
    }
  }
}

TEST(Tokenizer, APromptOf100000CharactersIsCutToLength) {
  std::string text;
  while (text.size() < 100000) text += "abc \u00e9<b>";
  const PaddedIds padded = load(small_tokenizer()).encode_padded(text, 256);
  EXPECT_EQ(padded.ids.size(), 256u);
  EXPECT_GT(padded.num_tokens, 10000);
}

TEST(Tokenizer, RefusesWhatItCannotReadAndSaysWhy) {
  const std::vector<std::pair<std::string, std::function<void(json&)>>> cases = {
      {"not a JSON object", [](json& t) { t = json::array(); }},
      {"no \"model\"", [](json& t) { t.erase("model"); }},
      {"no \"model\"", [](json& t) { t["model"]["merges"] = 3; }},
      {"has the id -1", [](json& t) { t["model"]["vocab"]["x"] = -1; }},
      {"has the id 1099511627776", [](json& t) { t["model"]["vocab"]["x"] = int64_t{1} << 40; }},
      {"has the id 18446744073709551615", [](json& t) { t["model"]["vocab"]["x"] = ~uint64_t{0}; }},
      {"has the id \"one\"", [](json& t) { t["model"]["vocab"]["x"] = "one"; }},
      {"expected two pieces", [](json& t) { t["model"]["merges"][0] = "ab"; }},
      {"expected two pieces",
       [](json& t) {
         t["model"]["merges"][0] = json::array({"a", "b", "c"});
       }},
      {"expected two pieces",
       [](json& t) {
         t["model"]["merges"][0] = json::array({"a", "a"});
       }},
      {"\"continuing_subword_prefix\"",
       [](json& t) { t["model"]["continuing_subword_prefix"] = "##"; }},
      {"\"byte_fallback\"", [](json& t) { t["model"]["byte_fallback"] = "yes"; }},
      {"\"lstrip\"", [](json& t) { t["added_tokens"][0]["lstrip"] = true; }},
      {"expected \"id\"", [](json& t) { t["added_tokens"][0] = 7; }},
      {"sequence in a sequence",
       [](json& t) {
         t["decoder"]["decoders"][0] = {{"type", "Sequence"}, {"decoders", json::array()}};
       }},
      {"\"added_tokens\"", [](json& t) { t["added_tokens"] = "x"; }},
      {"\"NFC\"",
       [](json& t) {
         t["normalizer"] = {{"type", "NFC"}};
       }},
      {"only patterns",
       [](json& t) {
         t["normalizer"]["pattern"] = {{"Regex", "x+"}};
       }},
      {"pre_tokenizer",
       [](json& t) {
         t["pre_tokenizer"] = {{"type", "ByteLevel"}};
       }},
      {"pre_tokenizer",
       [](json& t) {
         t["pre_tokenizer"]["pattern"] = {{"String", "a"}};
       }},
      {"decoder", [](json& t) {
         t["decoder"] = {{"type", "ByteLevel"}};
       }}};
  for (const auto& [expected, damage] : cases) {
    json tokenizer = small_tokenizer();
    damage(tokenizer);
    const auto file = fresh_folder("bad") / "tokenizer.json";
    write_file_atomically(file, tokenizer.dump());
    expect_error(file, expected);
  }
}

TEST(Tokenizer, RefusesMissingDamagedAndForeignFiles) {
  const auto folder = fresh_folder("foreign");
  expect_error(folder, "neither tokenizer.json nor tokenizer.model");
  expect_error(folder / "tokenizer.json", "cannot be opened");
  write_file_atomically(folder / "tokenizer.json", small_tokenizer().dump().substr(0, 500));
  expect_error(folder / "tokenizer.json", "not a JSON object");
  write_file_atomically(folder / "tokenizer.json", small_tokenizer().dump());
  const std::vector<std::pair<std::string, json>> configs = {
      {"\"add_bos_token\" is 1", {{"add_bos_token", 1}}},
      {"\"padding_side\" is \"up\"", {{"padding_side", "up"}}},
      {"not in the vocabulary", {{"add_eos_token", true}, {"eos_token", "</s>"}}},
      {"not a JSON object", json::array()}};
  for (const auto& [expected, config] : configs) {
    write_file_atomically(folder / "tokenizer_config.json", config.dump());
    try {
      load_tokenizer(folder);
      ADD_FAILURE() << "accepted: " << expected;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
    }
  }
}

// Protocol buffers, as far as a SentencePiece model needs them.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string bytes_field(int number, const std::string& bytes) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string number_field(int number, uint64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(value);
}
std::string sentence_piece(const std::string& text, float score, int type) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return bytes_field(1, bytes_field(1, text) + varint(2 << 3 | 5) + bits + number_field(3, type));
}

std::string sentencepiece_model(int model_type = 2, int add_dummy_prefix = 0) {
  std::string model;
  const std::vector<std::tuple<const char*, float, int>> pieces = {
      {"<pad>", 0, 3}, {"<unk>", 0, 2}, {"<b>", 0, 4},  {SPACE SPACE, 0, 4},
      {"bc", -1, 1},   {"ab", -2, 1},   {"cab", -3, 1}, {"a", -4, 1},
      {"b", -5, 1},    {"c", -6, 1},    {SPACE, -7, 1}, {SPACE "a", -8, 1}};
  for (const auto& [text, score, type] : pieces) model += sentence_piece(text, score, type);
  for (int byte = 0; byte < 256; ++byte)
    model += sentence_piece(byte_piece(static_cast<unsigned char>(byte)), 0, 6);
  model += bytes_field(2, number_field(3, static_cast<uint64_t>(model_type)));
  return model + bytes_field(3, number_field(3, static_cast<uint64_t>(add_dummy_prefix)) +
                                    number_field(4, 0));
}

Tokenizer load_model(const std::string& bytes) {
  const auto folder = fresh_folder("model");
  write_file_atomically(folder / "tokenizer.model", bytes);
  return load_tokenizer(folder);
}

TEST(SentencePiece, MergesTheHighestScoreFirst) {
  const Tokenizer tokenizer = load_model(sentencepiece_model());
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{7, 4}));  // "bc" scores above "ab"
  EXPECT_EQ(tokenizer.encode("cab"), (Ids{6}));
  EXPECT_EQ(tokenizer.encode("c a"), (Ids{9, 11}));
}

TEST(SentencePiece, FindsUserDefinedPiecesAfterNormalisingAndNoControlPieces) {
  const Tokenizer tokenizer = load_model(sentencepiece_model());
  EXPECT_EQ(tokenizer.encode("a<b>c"), (Ids{7, 2, 9}));
  EXPECT_EQ(tokenizer.encode("   a"), (Ids{3, 11}));  // two spaces are one such piece
  EXPECT_EQ(tokenizer.encode("<pad>").size(), 5u);    // bytes < p, a, bytes d >
  EXPECT_EQ(tokenizer.encode("\u00e9"), (Ids{12 + 0xC3, 12 + 0xA9}));
}

TEST(SentencePiece, DecodesAndLeavesControlPiecesOutWhenAsked) {
  const Tokenizer tokenizer = load_model(sentencepiece_model());
  for (const char* text : {"a b c", "\u00e9<b> a", "  x"})
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  EXPECT_EQ(tokenizer.decode(Ids{0, 7}, /*skip_special=*/true), "a");
}

TEST(SentencePiece, RefusesOtherModelsAndDamagedFiles) {
  const std::string good = sentencepiece_model();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"no pieces", ""},
      {"model type 1", sentencepiece_model(1)},
      {"normaliser", sentencepiece_model(2, 1)},
      {"unsupported type 5", good + sentence_piece("x", 0, 5)},
      {"cut off", good.substr(0, good.size() - 3)},
      {"wire type 7", "\x0F" + good},
      {"more than 64 bits", "\x08" + std::string(12, '\xFF')},
      {"not a SentencePiece model", "{\"model\": {}}"}};
  for (const auto& [expected, bytes] : cases) {
    const auto file = fresh_folder("bad_model") / "tokenizer.model";
    write_file_atomically(file, bytes);
    expect_error(file, expected);
  }
}

TEST(SentencePiece, AnyCutOfTheFileIsAnErrorOrATokenizer) {
  const std::string good = sentencepiece_model();
  for (size_t size = 0; size < good.size(); size += 13) {
    try {
      load_model(good.substr(0, size)).encode("abc <b>");
    } catch (const UserError&) {
    }
  }
}

// The seeds of the fuzz target and every input that once broke a reader.
TEST(TokenizerCorpus, EveryFileIsReadOrRefused) {
  int num_read = 0, num_refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/corpus/tokenizer")) {
    SCOPED_TRACE(entry.path());
    try {
      fuzz_tokenizer(read_file(entry.path()));
      ++num_read;
    } catch (const UserError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      ++num_refused;
    }
  }
  EXPECT_GE(num_read, 4);
  EXPECT_GE(num_refused, 2);
}

}  // namespace
}  // namespace i1
