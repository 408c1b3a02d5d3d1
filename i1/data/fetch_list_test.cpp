#include "i1/data/fetch_list.h"

#include <sstream>

#include "i1/core/testing.h"
#include "i1/data/fetched_picture.h"
#include "i1/data/yfcc.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

std::vector<FetchEntry> read_all(const std::string& text, WorkPart shard = {}) {
  std::istringstream in(text);
  FetchListReader reader(in, "list.txt", shard);
  std::vector<FetchEntry> entries;
  while (std::optional<FetchEntry> entry = reader.next()) entries.push_back(*entry);
  return entries;
}

TEST(FetchList, AnAddressALineIsNamedByItsRow) {
  const auto entries = read_all("http://a/1\r\n\n   \nhttps://b/2.png?x=1,2\nhttp://c");
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].address, "http://a/1");
  EXPECT_EQ(entries[0].name, "0/0");
  EXPECT_EQ(entries[1].row, 3);  // blank lines are rows
  EXPECT_EQ(entries[1].name, "0/3");
  EXPECT_EQ(entries[1].address, "https://b/2.png?x=1,2");
  EXPECT_EQ(entries[1].extension, "");
  EXPECT_EQ(entries[2].name, "0/4");
  EXPECT_TRUE(read_all("").empty());
}

TEST(FetchList, RowsOfTenThousandShareAFolder) {
  std::string text(10000, '\n');
  EXPECT_EQ(read_all(text + "http://a/").at(0).name, "1/10000");
}

TEST(FetchList, ANameStandsBeforeATab) {
  const auto entries = read_all(
      "\xef\xbb\xbf"
      "cats/b.c\thttp://a/1\nd e\thttp://a/2\n");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "cats/b.c");
  EXPECT_EQ(entries[0].address, "http://a/1");
  EXPECT_EQ(entries[1].name, "d e");
}

TEST(FetchList, ATableIsAddressedAndNamedAsYfcc) {
  const std::string url = "http://farm1.staticflickr.com/1/1_a.jpg";
  const auto entries =
      read_all("photoid,downloadurl\n 17 ," + url + "\n,http://x\n18,\n\"19\",\"a,b\"\n");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "0/17");
  EXPECT_EQ(entries[0].extension, "jpg");
  EXPECT_EQ(entries[0].address, yfcc_address(url));
  EXPECT_EQ(entries[1].row, 3);
  EXPECT_EQ(entries[1].address, yfcc_address("a,b"));
  EXPECT_EQ(read_all("x,downloadurl,photoid\n1,u,2\n").at(0).name, "0/2");
}

TEST(FetchList, RowsWithoutAnIdAreCountedByTheirShard) {
  std::istringstream in("photoid,downloadurl\n,u\n1,u\n,u\n");
  FetchListReader reader(in, "t", {0, 2});
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.num_incomplete(), 2);
}

TEST(FetchList, ShardsShareTheRowsOut) {
  const std::string text = "http://a/0\nhttp://a/1\nhttp://a/2\nhttp://a/3\nhttp://a/4\n";
  const auto entries = read_all(text, {1, 3});
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].row, 1);
  EXPECT_EQ(entries[1].address, "http://a/4");
  EXPECT_EQ(parse_work_part("3/8").index, 3);
  EXPECT_EQ(parse_work_part("3/8").count, 8);
  for (const char* shard : {"", "1", "1/1", "-1/2", "0/0", "a/b", "1/2/3", "0/2 "})
    expect_error("expected K/N", [&] { parse_work_part(shard); });
}

TEST(FetchList, WhatIsNoEntryNamesFileAndLine) {
  for (const char* line : {"picture.jpg", "ftp://a/b", "http://", "a\tb\thttp://a", "id,url"})
    expect_error("list.txt: line 2: expected an address",
                 [&] { read_all(std::string("http://a/\n") + line + "\n"); });
  const std::string long_name(201, 'a');
  for (const std::string name :
       {"/a", "../a", "a/../b", "a//b", "a/", "", ".", "a\x01", long_name.c_str()})
    expect_error("list.txt: line 1: the name", [&] { read_all(name + "\thttp://a/\n"); });
  const std::string header = "photoid,downloadurl\n";
  expect_error("line 2: 3 columns, expected the 2", [&] { read_all(header + "1,a,b\n"); });
  expect_error("line 3: a quote", [&] { read_all(header + "1,a\n2,\"b\n"); });
  expect_error("line 2: photoid", [&] { read_all(header + "../1,a\n"); });
  // In whatever shard: every one of them says so before it begins.
  expect_error("line 2", [&] { read_all("http://a/\nwords\n", {0, 2}); });
}

TEST(FetchList, CsvKeepsWhatQuotesHold) {
  using Fields = std::vector<std::string>;
  EXPECT_EQ(split_csv(""), Fields{""});
  EXPECT_EQ(split_csv("a,,b,"), (Fields{"a", "", "b", ""}));
  EXPECT_EQ(split_csv("\"a,\"\"b\"\"\",c\"d"), (Fields{"a,\"b\"", "c\"d"}));
  EXPECT_EQ(split_csv("\"\",x"), (Fields{"", "x"}));
  EXPECT_FALSE(split_csv("\"a"));
  EXPECT_FALSE(split_csv("\"a\"b"));
}

TEST(FetchedPicture, TheContentSaysWhatItIs) {
  const Image image = make_image(3, 2);
  EXPECT_EQ(check_picture(encode_png(image)).extension, "png");
  EXPECT_EQ(check_picture(encode_jpeg(image)).extension, "jpg");
  const std::pair<const char*, const char*> kFiles[] = {{"webp_lossy_odd.webp", "webp"},
                                                        {"gif_named.jpg", "gif"},
                                                        {"tiff_raw_rgba.tiff", "tif"},
                                                        {"bmp_24_odd.bmp", "bmp"}};
  for (const auto& [file, extension] : kFiles) {
    const PictureCheck check =
        check_picture(read_file(std::string("goldens/data/images/inputs/") + file));
    EXPECT_EQ(check.extension, extension);
    EXPECT_EQ(check.problem, "") << file;
  }
}

TEST(FetchedPicture, WhatIsNoneSaysWhy) {
  EXPECT_EQ(check_picture("").problem, "empty");
  EXPECT_EQ(check_picture(" \n<!DOCTYPE HTML><p>Log in").problem, "an HTML page");
  EXPECT_EQ(check_picture("words").problem, "no picture that can be read");
  EXPECT_EQ(check_picture(encode_png(make_image(3, 2)).substr(0, 10)).problem,
            "no picture that can be read");
}

}  // namespace
}  // namespace i1
