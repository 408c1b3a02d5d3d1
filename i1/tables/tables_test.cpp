#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/tables/addresses.h"
#include "i1/tables/parquet_file.h"

namespace i1 {
namespace {

using nlohmann::json;

TEST(Addresses, RemoteOnesBeginWithAScheme) {
  EXPECT_TRUE(is_remote("s3://bucket/a.parquet"));
  EXPECT_TRUE(is_remote("https://host/a"));
  EXPECT_FALSE(is_remote("/folder/a.parquet"));
  EXPECT_FALSE(is_remote("a b://c"));
  EXPECT_FALSE(is_remote("://c"));
}

TEST(Addresses, MessagesShowNoSecrets) {
  EXPECT_EQ(shown_address("s3://key:secret@bucket/a?region=x&token=y"), "s3://bucket/a");
  EXPECT_EQ(shown_address("s3://bucket/a@b.parquet"), "s3://bucket/a@b.parquet");
  EXPECT_EQ(shown_address("folder/a?b@c"), "folder/a?b@c");
}

TEST(Addresses, PathsAreRelativeToTheFolderOfTheFile) {
  EXPECT_EQ(relative_to("sets/a.parquet", "p/1.jpg"), "sets/p/1.jpg");
  EXPECT_EQ(relative_to("sets/a.parquet", "/p/1.jpg"), "/p/1.jpg");
  EXPECT_EQ(relative_to("a.parquet", "http://host/1.jpg"), "http://host/1.jpg");
  EXPECT_EQ(relative_to("s3://b/sets/a.parquet?region=x", "1.jpg"), "s3://b/sets/1.jpg?region=x");
  EXPECT_EQ(relative_to("s3://b/sets/a.parquet", "/p/1.jpg"), "s3://b/p/1.jpg");
  EXPECT_EQ(relative_to("https://h/sets/a.parquet?download=1", "1.jpg"), "https://h/sets/1.jpg");
}

std::vector<std::string> texts(const json& row, const std::string& name) {
  std::vector<std::string> found;
  for (const json* value : values_at(row, name)) found.push_back(*value);
  return found;
}

TEST(ParquetRows, DottedNamesGoThroughListsAndNulls) {
  const json row =
      json::parse(R"({"a": {"b": ["x", null, "y"]}, "c": [{"d": "1"}, null, {"d": "2"}],
                                  "e.f": "z", "n": null, "g": [["p"], ["q"]]})");
  EXPECT_EQ(texts(row, "a.b"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(texts(row, "c.d"), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(texts(row, "e.f"), std::vector<std::string>{"z"});
  EXPECT_EQ(texts(row, "g"), (std::vector<std::string>{"p", "q"}));
  for (const char* name : {"n", "n.a", "a.c", "x", "a.b.c", "c.d.e"})
    EXPECT_TRUE(values_at(row, name).empty()) << name;
}

TEST(ParquetFiles, APathWithoutAnyIsRefused) {
  EXPECT_THROW(find_parquet("/nowhere/at/all"), UserError);
  EXPECT_EQ(find_parquet("http://host/a.parquet"),
            std::vector<std::string>{"http://host/a.parquet"});
}

}  // namespace
}  // namespace i1
