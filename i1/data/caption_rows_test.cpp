#include "i1/data/caption_rows.h"

#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/test_records.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

fs::path file_with(const std::string& name, const std::string& text) {
  const fs::path path = fresh_folder("caption_rows") / name;
  write_file_atomically(path, text);
  return path;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(CaptionRows, EveryFormGivesTheSameRows) {
  const std::vector<TableRow> expected = {{{"key", "cat"}, {"caption", "a cat, \"Tom\""}},
                                          {{"key", "dog"}, {"caption", "a\ndog"}}};
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"list.json", R"([{"key": "cat", "caption": "a cat, \"Tom\""},
                             {"key": "dog", "caption": "a\ndog"}])"},
           {"object.json", R"({"cat": "a cat, \"Tom\"", "dog": "a\ndog"})"},
           {"lines.jsonl",
            "{\"key\": \"cat\", \"caption\": \"a cat, \\\"Tom\\\"\"}\n\n"
            "{\"key\": \"dog\", \"caption\": \"a\\ndog\"}"},
           {"table.csv", "key,caption\r\ncat,\"a cat, \"\"Tom\"\"\"\r\ndog,\"a\ndog\"\r\n"},
           {"marked.csv", "\xef\xbb\xbfkey,caption\ncat,\"a cat, \"\"Tom\"\"\"\n\ndog,\"a\ndog\""},
           {"table.tsv", "key\tcaption\ncat\t\"a cat, \"\"Tom\"\"\"\ndog\t\"a\ndog\"\n"}}) {
    EXPECT_EQ(read_caption_rows(file_with(name, text)), expected) << name;
  }
}

TEST(CaptionRows, AFileNameGivesTheKey) {
  const auto rows = read_caption_rows(
      file_with("metadata.jsonl", R"({"file_name": "train/a.b.png", "text": "x", "width": 5})"));
  EXPECT_EQ(rows.at(0).at("key"), "a.b");
  EXPECT_EQ(text_columns(rows), std::vector<std::string>{"text"});
}

TEST(CaptionRows, EmptyFieldsAreKept) {
  const auto rows = read_caption_rows(file_with("a.csv", "key,one,two\na,,\nb,\"\",x\n"));
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0], (TableRow{{"key", "a"}, {"one", ""}, {"two", ""}}));
  EXPECT_EQ(rows[1], (TableRow{{"key", "b"}, {"one", ""}, {"two", "x"}}));
}

TEST(CaptionRows, WhatIsWrongIsNamedWithItsLine) {
  for (const auto& [name, text, expected] : std::vector<std::array<std::string, 3>>{
           {"a.csv", "key,caption\na,x\n\"b\n\",y,z\n", "line 3: 3 fields; expected 2"},
           {"a.csv", "key,caption\na,\"x\n", "line 2: a quote is opened"},
           {"a.csv", "key,caption\na,\"x\"y\n", "line 2: text after a closing quote"},
           {"a.csv", "key,caption\n", "no caption in this file"},
           {"a.csv", "", "no caption in this file"},
           {"a.jsonl", "{}\n[1]\n", "line 2: expected a JSON object"},
           {"a.jsonl", "{\"key\": \"\xff\"}", "line 1: expected a JSON object"},
           {"a.json", "\"text\"", "expected a JSON list of rows or an object"},
           {"a.txt", "x", "expected a JSON list of rows or an object"}}) {
    const fs::path path = file_with(name, text);
    const std::string message = message_of([&] { read_caption_rows(path); });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(CaptionRows, ATextFileBesideAPictureIsItsCaption) {
  const fs::path folder = fresh_folder("captions_beside");
  for (const char* name : {"a.png", "b.JPG", "c.png"})
    write_file_atomically(folder / name, encode_png(flat_picture(1, 4)));
  EXPECT_NE(message_of([&] { captions_beside(list_folder(folder)); }).find("a.png"),
            std::string::npos);
  write_file_atomically(folder / "a.txt", "  a cat\r\n");
  write_file_atomically(folder / "b.txt", "");
  const std::vector<TableRow> expected = {{{"key", "a"}, {"caption", "a cat"}},
                                          {{"key", "b"}, {"caption", ""}}};
  EXPECT_EQ(captions_beside(list_folder(folder)), expected);
}

}  // namespace
}  // namespace i1
