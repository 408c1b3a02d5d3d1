#include "i1/data/nano_names.h"

#include <gtest/gtest.h>

namespace i1 {
namespace {

TEST(NanoNames, CodesOfAllPackagesMeet) {
  EXPECT_EQ(normalized_code("1F427"), "1f427");
  EXPECT_EQ(normalized_code("0039-FE0F-20E3"), "39-20e3");
  EXPECT_EQ(normalized_code("39-fe0f-20e3"), "39-20e3");
  EXPECT_EQ(normalized_code("1f469-1f3fe-200d-1f680"), "1f469-1f3fe-200d-1f680");
  EXPECT_EQ(normalized_code("1F441-FE0F-200D-1F5E8-FE0F"), "1f441-200d-1f5e8");
  EXPECT_EQ(normalized_code("1f3f4-e0067_e0062_e0065_e006e_e0067_e007f"),
            "1f3f4-e0067-e0062-e0065-e006e-e0067-e007f");
  EXPECT_EQ(normalized_code("fe0f"), "");
  EXPECT_EQ(normalized_code(""), "");
  EXPECT_EQ(normalized_code("0"), "0");
}

TEST(NanoNames, LabelsBecomePhrases) {
  EXPECT_EQ(name_of_label("penguin"), "penguin");
  EXPECT_EQ(name_of_label("woman astronaut: medium-dark skin tone"),
            "woman astronaut with medium-dark skin");
  EXPECT_EQ(name_of_label("person with veil: dark skin tone"), "person with veil and dark skin");
  EXPECT_EQ(name_of_label("man: bald"), "bald man");
  EXPECT_EQ(name_of_label("man: light skin tone, bald"), "bald man with light skin");
  EXPECT_EQ(name_of_label("woman: medium skin tone, red hair"),
            "woman with red hair and medium skin");
  EXPECT_EQ(name_of_label("person: beard"), "person with a beard");
  EXPECT_EQ(name_of_label("handshake: light skin tone, dark skin tone"),
            "handshake with light and dark skin");
  EXPECT_EQ(name_of_label("family: man, woman, girl, boy"),
            "family of a man, a woman, a girl and a boy");
  EXPECT_EQ(name_of_label("kiss: woman, man, light skin tone, dark skin tone"),
            "kiss between a woman and a man with light and dark skin");
  EXPECT_EQ(name_of_label("man running: facing right"), "man running facing right");
  EXPECT_EQ(name_of_label("flag: Kenya"), "flag of Kenya");
  EXPECT_EQ(name_of_label("flag: United States"), "flag of the United States");
  EXPECT_EQ(name_of_label("flag: Cook Islands"), "flag of the Cook Islands");
  EXPECT_EQ(name_of_label("flag: Bosnia & Herzegovina"), "flag of Bosnia and Herzegovina");
  EXPECT_EQ(name_of_label("keycap: #"), "keycap #");
  EXPECT_EQ(name_of_label("Japanese \u201csecret\u201d button"), "Japanese \"secret\" button");
  EXPECT_EQ(name_of_label("man\u2019s shoe"), "man's shoe");
}

TEST(NanoNames, ArticlesFollowTheFirstSound) {
  EXPECT_EQ(with_article("penguin"), "a penguin");
  EXPECT_EQ(with_article("owl"), "an owl");
  EXPECT_EQ(with_article("unicorn"), "a unicorn");
  EXPECT_EQ(with_article("hourglass done"), "an hourglass done");
  EXPECT_EQ(with_article("one-piece swimsuit"), "a one-piece swimsuit");
  EXPECT_EQ(with_article("x-ray"), "an x-ray");
  EXPECT_EQ(with_article("SOS button"), "an SOS button");
  EXPECT_EQ(with_article("ledger"), "a ledger");
  EXPECT_EQ(with_article("A button (blood type)"), "an A button (blood type)");
  EXPECT_EQ(with_article("a clown"), "a clown");
  EXPECT_EQ(with_article("flag of Kenya"), "the flag of Kenya");
}

TEST(NanoNames, PluralsAndMassNounsTakeNoArticle) {
  for (const char* name : {"scissors", "two hearts", "clapping hands", "bread", "tennis",
                           "thumbs up", "men wrestling", "ten o'clock", "keycap 7", "mice"}) {
    EXPECT_EQ(with_article(name), name);
  }
  EXPECT_EQ(with_article("face with tears of joy"), "a face with tears of joy");
  EXPECT_EQ(with_article("cactus"), "a cactus");
  EXPECT_EQ(with_article("magnifying glass"), "a magnifying glass");
  EXPECT_EQ(with_article("woman lifting weights"), "a woman lifting weights");
}

TEST(NanoNames, PluralChangesTheHeadNoun) {
  EXPECT_EQ(plural("red apple"), "red apples");
  EXPECT_EQ(plural("glass of milk"), "glasses of milk");
  EXPECT_EQ(plural("strawberry"), "strawberries");
  EXPECT_EQ(plural("monkey"), "monkeys");
  EXPECT_EQ(plural("fox"), "foxes");
  EXPECT_EQ(plural("tomato"), "tomatoes");
  EXPECT_EQ(plural("maple leaf"), "maple leaves");
  EXPECT_EQ(plural("computer mouse"), "computer mice");
  EXPECT_EQ(plural("tropical fish"), "tropical fish");
  EXPECT_EQ(plural("jellyfish"), "jellyfish");
  EXPECT_EQ(plural("snowman"), "snowmen");
  EXPECT_EQ(plural("bus"), "buses");
}

TEST(NanoNames, TextHelpersHandleEmptyAndOddInput) {
  EXPECT_EQ(plain_text("  a \t b\n"), "a b");
  EXPECT_EQ(plain_text(""), "");
  EXPECT_EQ(join_and({}), "");
  EXPECT_EQ(join_and({"a"}), "a");
  EXPECT_EQ(join_and({"a", "b", "c"}), "a, b and c");
  EXPECT_EQ(split_trimmed(" a,, b ,", ','), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(split_trimmed("", ',').empty());
  EXPECT_EQ(count_words("a 3D render of a cat, indoors"), 8);
  EXPECT_EQ(count_words(""), 0);
}

}  // namespace
}  // namespace i1
