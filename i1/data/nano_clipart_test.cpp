#include "i1/data/nano_clipart.h"

#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/data/nano_fixture.h"
#include "i1/data/nano_names.h"
#include "i1/data/nano_picture.h"
#include "i1/data/nano_shapes.h"
#include "i1/data/nano_split.h"
#include "i1/data/nano_words.h"

namespace i1 {
namespace {

const Vocabulary kVocabulary = word_set(
    "hot|dog|food|wine|glass|bulldog|puppy|with|bit|in|it|bird|"
    "tree|the|map|down|white|black");

const std::filesystem::path& packages() {
  static const std::filesystem::path kPackages = make_nano_sources("drawings");
  return kPackages;
}

TEST(NanoClipart, RecordTakesTheWorksOwnTitle) {
  const ClipartRecord record = read_clipart_record(
      "<svg><cc:Work rdf:about=\"\"><dc:publisher><cc:Agent><dc:title>Open Clip Art</dc:title>"
      "</cc:Agent></dc:publisher><dc:title>Salt &amp; Pepper</dc:title><dc:creator><cc:Agent>"
      "<dc:title>Gerald G.</dc:title></cc:Agent></dc:creator><dc:description>Two\n shakers"
      "</dc:description><rdf:li>food</rdf:li><rdf:li></rdf:li><rdf:li>menu</rdf:li></cc:Work>");
  EXPECT_EQ(record.title, "Salt & Pepper");
  EXPECT_EQ(record.creator, "Gerald G.");
  EXPECT_EQ(record.description, "Two shakers");
  EXPECT_EQ(record.keywords, (std::vector<std::string>{"food", "menu"}));
}

TEST(NanoClipart, RecordOfAnythingElseIsEmpty) {
  for (const char* text :
       {"", "<svg/>", "<cc:Work><dc:title>cut", "<cc:Work><cc:Agent></cc:Work>"}) {
    const ClipartRecord record = read_clipart_record(text);
    EXPECT_EQ(record.title, "") << text;
    EXPECT_TRUE(record.keywords.empty()) << text;
  }
}

TEST(NanoClipart, StemLosesNumbersAndCreator) {
  EXPECT_EQ(name_of_stem("bulldog_puppy_ganson_01", "Ganson"), "bulldog puppy");
  EXPECT_EQ(name_of_stem("wine_glass_christian_h._", "Christian Hoffmann"), "wine glass");
  EXPECT_EQ(name_of_stem("bowl_of_steaming_soup_01", ""), "bowl of steaming soup");
  EXPECT_EQ(name_of_stem("ganson_01", "Ganson"), "ganson") << "the first word is never cut";
  EXPECT_EQ(name_of_stem("contour_fox", "Fo Xavier"), "contour fox");
  EXPECT_EQ(name_of_stem("sun02", ""), "sun");
  EXPECT_EQ(name_of_stem("seagull_bw", ""), "seagull");
  EXPECT_EQ(name_of_stem("", ""), "");
}

TEST(NanoClipart, EnglishNeedsMostOfItsWords) {
  EXPECT_TRUE(is_english("hot dog", kVocabulary));
  EXPECT_TRUE(is_english("a wine glass xyzzy", kVocabulary));
  EXPECT_FALSE(is_english("tazza di caffe", kVocabulary));
  EXPECT_FALSE(is_english("", kVocabulary));
  EXPECT_FALSE(is_english("12 34", kVocabulary));
}

TEST(NanoClipart, CaptionsGrowFromTheBestName) {
  ClipartRecord record{
      "Wine Glass", "A glass with a bit wine in it.", "C. H.", {"hash(0x1)", "food"}};
  EXPECT_EQ(clipart_captions(record, "food/wine_glass_01", kVocabulary),
            (std::vector<std::string>{"wine glass", "clip art of a wine glass", "wine glass, food",
                                      "A glass with a bit wine in it."}));
  record = {"Clipart by Nicu - piggybank", "", "Nicu", {}};
  EXPECT_EQ(clipart_captions(record, "food/hot_dog_nicu_01", kVocabulary)[0], "hot dog");
  record = {"Belize", "", "", {"flag"}};
  EXPECT_EQ(clipart_captions(record, "signs/flags/america/belize", kVocabulary)[1],
            "clip art of the flag of belize");
  record = {"AIGA_Symbol_Signs", "", "", {}};
  EXPECT_EQ(clipart_captions(record, "map_symbols/aiga_down", kVocabulary)[0], "down sign");
  record = {"tree - RPG map elements", "", "", {}};
  EXPECT_EQ(clipart_captions(record, "x/y", kVocabulary)[0], "tree");
}

TEST(NanoClipart, ForeignTitlesFallBackToKeywordsOrNothing) {
  ClipartRecord record{"Tazza di caffe", "", "Architetto Francesco Rollandin", {"food", "bird"}};
  EXPECT_EQ(clipart_captions(record, "a/tazza", kVocabulary),
            (std::vector<std::string>{"food, bird", "clip art, food, bird"}));
  record.keywords = {"unsorted"};
  EXPECT_TRUE(clipart_captions(record, "a/tazza", kVocabulary).empty());
  record.title = "White dog";  // also words of another language, here by its author
  EXPECT_TRUE(clipart_captions(record, "a/tazza", kVocabulary).empty());
  EXPECT_TRUE(clipart_captions({}, "a/zzz", kVocabulary).empty());
}

TEST(NanoClipart, SetCountsWhatItLeavesOut) {
  const NanoSet set = make_clipart_set(packages());
  ASSERT_EQ(set.items.size(), 2u);
  EXPECT_EQ(set.items[0].name, "food/hot_dog");
  EXPECT_EQ(set.items[0].captions[0], "hot dog");
  EXPECT_EQ(set.items[0].metadata["creator"], "A. Cook");
  EXPECT_EQ(set.items[1].captions[0], "table");
  const Image picture = set.items[0].draw(64);
  EXPECT_EQ(picture.width, 64);
  EXPECT_EQ(picture.row(32)[32 * 3], 200);
  EXPECT_EQ(picture.row(0)[0], 255) << "a white margin";
  EXPECT_EQ(set.left_out, (std::map<std::string, int64_t>{{"icons, cards, shapes, samples", 1},
                                                          {"longer than twice the width", 1},
                                                          {"no English caption", 1},
                                                          {"shorter edge under 64", 1}}));
}

TEST(NanoClipart, MissingPackageNamesTheScript) {
  try {
    make_stamps_set(fresh_folder("no_stamps"));
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("tools/fetch_nano_data.sh"), std::string::npos);
  }
}

TEST(NanoStamps, SentencesBecomePhrasesToo) {
  EXPECT_EQ(stamp_captions("A lion."), (std::vector<std::string>{"a lion", "A lion."}));
  EXPECT_EQ(stamp_captions("The letter z.")[0], "the letter z");
  EXPECT_EQ(stamp_captions("A chocolate egg. Yum!"),
            (std::vector<std::string>{"a chocolate egg. Yum!", "A chocolate egg. Yum!"}));
  EXPECT_EQ(stamp_captions("\u201cArrow\u201d"), (std::vector<std::string>{"\"Arrow\""}));
  EXPECT_TRUE(stamp_captions("  ").empty());
}

TEST(NanoStamps, SetTakesPicturesWithSentences) {
  const NanoSet set = make_stamps_set(packages());
  ASSERT_EQ(set.items.size(), 1u);
  EXPECT_EQ(set.items[0].name, "animals/lion.png");
  EXPECT_EQ(set.items[0].captions[0], "a lion");
  EXPECT_EQ(set.left_out,
            (std::map<std::string, int64_t>{{"no sentence", 1}, {"under 56 pixels", 1}}));
}

TEST(NanoShapes, IconsHaveNames) {
  EXPECT_EQ(name_of_icon("crab-claw"), "crab claw");
  EXPECT_EQ(name_of_icon("skateboarding-02"), "skateboarding");
  EXPECT_EQ(name_of_icon("abstract-011"), "");
  EXPECT_EQ(name_of_icon("d10"), "d10");
  EXPECT_EQ(name_of_icon("7"), "7");
  EXPECT_EQ(name_of_icon(""), "");
}

TEST(NanoShapes, NoHiddenColourIsTrained) {
  const ShapesSets sets = make_shapes_sets(packages());
  EXPECT_EQ(sets.shapes.items.size(), 8u * 5u);
  EXPECT_EQ(sets.shapes.left_out.at("nothing that has a name"), 1);
  for (const NanoItem& item : sets.shapes.items) {
    EXPECT_FALSE(is_shape_color_hidden(item.metadata["shape"].get<std::string>(),
                                       item.metadata["color"].get<std::string>()))
        << item.name;
    EXPECT_NE(item.metadata["color"], item.metadata["background"]);
  }
  for (const NanoItem& item : sets.heldout_shapes.items)
    EXPECT_TRUE(is_shape_color_hidden(item.metadata["shape"].get<std::string>(),
                                      item.metadata["color"].get<std::string>()));
}

TEST(NanoShapes, PicturesShowTheirTwoColoursAndNoCutShape) {
  const ShapesSets sets = make_shapes_sets(packages());
  const auto color_named = [](const std::string& name) {
    for (const NamedColor& color : kColors)
      if (color.name == name) return color.color;
    return Color{1, 1, 1};
  };
  for (const NanoItem& item : sets.shapes.items) {
    const Image picture = item.draw(64);
    const Color shape = color_named(item.metadata["color"]);
    const Color ground = color_named(item.metadata["background"]);
    int num_shape = 0;
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        const uint8_t* at = picture.row(y) + x * 3;
        const Color here{at[0], at[1], at[2]};
        num_shape += here == shape;
        if (x == 0 || y == 0 || x == 63 || y == 63) {
          EXPECT_EQ(here, ground) << item.name;
        }
      }
    }
    EXPECT_GT(num_shape, 300) << item.name;
  }
}

TEST(NanoShapes, CaptionsNameShapeAndBothColours) {
  const ShapesSets sets = make_shapes_sets(packages());
  for (const NanoItem& item : sets.shapes.items) {
    ASSERT_EQ(item.captions.size(), 3u);
    for (const std::string& caption : item.captions) {
      for (const char* field : {"shape", "color", "background"})
        EXPECT_NE(caption.find(item.metadata[field].get<std::string>()), std::string::npos)
            << caption;
    }
  }
}

TEST(NanoWords, GlossTakesTheKindThatIsAsked) {
  const Glosses glosses(packages());
  EXPECT_EQ(glosses.find("penguin", {5}), "short-legged flightless birds");
  EXPECT_EQ(glosses.find("Penguin", {18}), "a person in evening dress");
  EXPECT_EQ(glosses.find("penguin", {20}), std::nullopt);
  EXPECT_EQ(glosses.find("walrus", {5}), std::nullopt);
  EXPECT_EQ(glosses.find("", {5}), std::nullopt);
}

TEST(NanoWords, CommonWordsOccurInDefinitions) {
  const std::vector<std::string> words = read_common_words(packages(), 9, 25);
  EXPECT_EQ(words.size(), 1200u);
  EXPECT_TRUE(std::is_sorted(words.begin(), words.end()));
  EXPECT_TRUE(read_common_words(packages(), 9, 26).empty());
  EXPECT_TRUE(read_common_words(packages(), 3, 25).empty());
}

}  // namespace
}  // namespace i1
