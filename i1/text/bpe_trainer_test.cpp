#include "i1/text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "i1/core/testing.h"
#include "i1/text/tokenizer.h"

namespace i1 {
namespace {

using Words = std::vector<std::string>;

// Captions with enough repetition to learn from: every combination of a few words.
Words captions() {
  Words all;
  for (const char* colour : {"red", "green", "blue", "dark blue"})
    for (const char* thing : {"apple", "plate", "pineapple", "caf\xC3\xA9", "12 plates"})
      all.push_back(std::string("a ") + colour + " " + thing + " on a plate, at night");
  return all;
}

TEST(BpeTrainer, WordsBeginAtSpacesAndOnlyLettersJoin) {
  EXPECT_EQ(split_words("red apple, 12"), (Words{"red", "\u2581apple", ",", "\u2581", "1", "2"}));
  EXPECT_EQ(split_words("  a"), (Words{"\u2581",
                                       "\u2581"
                                       "a"}));
  EXPECT_EQ(split_words("caf\u00e9-bar"), (Words{"caf\u00e9", "-", "bar"}));
  EXPECT_EQ(split_words(""), Words{});
  EXPECT_EQ(split_words("a\xFF"
                        "b"),
            (Words{"a", "b"}));
}

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  const TrainedBpe trained = train_bpe(Words{"abab", "ab", "cd", "cd"});
  ASSERT_EQ(trained.merges.size(), 2u);
  EXPECT_EQ(trained.merges[0], std::make_pair(std::string("a"), std::string("b")));  // 3 times
  EXPECT_EQ(trained.merges[1], std::make_pair(std::string("c"), std::string("d")));  // 2 times
  EXPECT_EQ(trained.pieces.back(), "cd");
}

TEST(BpeTrainer, EqualCountsGoToTheLowestIds) {
  const TrainedBpe trained = train_bpe(Words{"yz", "yz", "bc", "bc"});
  ASSERT_EQ(trained.merges.size(), 2u);
  EXPECT_EQ(trained.merges[0].first, "b");
}

TEST(BpeTrainer, CountsOverlappingRepeatsOnce) {
  // "aaaa" becomes "aa" "aa", then "aaaa".
  const TrainedBpe trained = train_bpe(Words{"aaaa", "aaaa"});
  EXPECT_EQ(trained.merges,
            (std::vector<std::pair<std::string, std::string>>{{"a", "a"}, {"aa", "aa"}}));
}

TEST(BpeTrainer, PiecesOpenWithSpecialsBytesAndAscii) {
  const TrainedBpe trained = train_bpe(Words{});
  EXPECT_EQ(Words(trained.pieces.begin(), trained.pieces.begin() + 5),
            (Words{"<pad>", "<eos>", "<bos>", "<unk>", "<0x00>"}));
  EXPECT_EQ(trained.pieces[259], "<0xFF>");
  EXPECT_EQ(trained.pieces[260], "!");
  EXPECT_EQ(trained.pieces.size(), 4u + 256 + 94 + 1);
}

TEST(BpeTrainer, NoPieceHoldsASpaceButInFront) {
  const TrainedBpe trained = train_bpe(captions());
  EXPECT_NE(std::find(trained.pieces.begin(), trained.pieces.end(), "\u2581plate"),
            trained.pieces.end());
  for (const std::string& piece : trained.pieces)
    EXPECT_EQ(piece.find("\u2581", 1), std::string::npos) << piece;
}

TEST(BpeTrainer, StopsAtTheSizeOfTheVocabulary) {
  const TrainedBpe trained = train_bpe(captions(), {.vocab_size = 380});
  EXPECT_EQ(trained.pieces.size(), 380u);
  EXPECT_THROW(train_bpe(captions(), {.vocab_size = 300}), UserError);
}

TEST(BpeTrainer, WritesTheSameFilesForAnyOrderOfCaptions) {
  Words backwards = captions();
  std::reverse(backwards.begin(), backwards.end());
  const auto one = fresh_folder("forwards"), other = fresh_folder("backwards");
  save_tokenizer(train_bpe(captions()), one);
  save_tokenizer(train_bpe(backwards), other);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    EXPECT_EQ(read_file(one / name), read_file(other / name));
}

TEST(BpeTrainer, TheTokenizerReadsItBackAndEncodesByTheMerges) {
  const TrainedBpe trained = train_bpe(captions());
  const auto folder = fresh_folder("read");
  save_tokenizer(trained, folder);
  const Tokenizer tokenizer = load_tokenizer(folder);
  EXPECT_EQ(tokenizer.vocabulary_size(), static_cast<int64_t>(trained.pieces.size()));
  EXPECT_EQ(tokenizer.settings().pad_id, 0);
  const std::vector<int64_t> ids = tokenizer.encode("a red apple, 7 pears");
  Words pieces;
  for (const int64_t id : ids) pieces.push_back(tokenizer.piece(id));
  EXPECT_EQ(Words(pieces.begin(), pieces.begin() + 3), (Words{"a", "\u2581red",
                                                              "\u2581"
                                                              "apple"}));
  for (const std::string& text : captions())
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  const std::string unseen = "\u4f60\u597d \U0001f34e\n\x01";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(unseen)), unseen);
}

}  // namespace
}  // namespace i1
