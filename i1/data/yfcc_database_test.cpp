#include "i1/data/yfcc_database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/test_records.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// The columns that the published database has, and some rows of it.
constexpr const char* kTable =
    "CREATE TABLE yfcc100m_dataset (photoid integer, uid text, unickname text, datetaken text, "
    "dateuploaded text, capturedevice text, title text, description text, usertags text, "
    "machinetags text, longitude real, latitude real, accuracy integer, pageurl text, "
    "downloadurl text, licensename text, licenseurl text, serverid integer, farmid integer, "
    "secret text, secretoriginal text, ext text, marker integer)";
constexpr const char* kRows =
    "INSERT INTO yfcc100m_dataset (photoid, downloadurl, title) VALUES "
    "(6185218911, 'http://farm7.staticflickr.com/6161/6185218911_42ca9dd5f5.jpg', 'a, \"b\"'),"
    "(NULL, 'http://farm1.staticflickr.com/1/1_a.jpg', NULL),"
    "(' 42 ', 'http://farm2.staticflickr.com/2/42_b.jpg', ''),"
    "(43, NULL, ''),"
    "(44, 'http://farm2.staticflickr.com/2/44_c.jpg', '')";

fs::path make_database(const std::string& name, const std::vector<std::string>& statements) {
  const fs::path path = fresh_folder(name) / "yfcc100m_dataset.sql";
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  for (const std::string& statement : statements)
    EXPECT_EQ(sqlite3_exec(database, statement.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
  sqlite3_close(database);
  return path;
}

std::vector<FetchEntry> read_all(YfccDatabase database) {
  std::vector<FetchEntry> entries;
  while (auto entry = database.next()) entries.push_back(std::move(*entry));
  return entries;
}

TEST(YfccDatabase, GivesTheEntriesOfTheTableInCsv) {
  const fs::path path = make_database("yfcc", {kTable, kRows});
  EXPECT_TRUE(is_sqlite(path));
  std::istringstream csv(
      "photoid,downloadurl\n"
      "6185218911,http://farm7.staticflickr.com/6161/6185218911_42ca9dd5f5.jpg\n"
      ",http://farm1.staticflickr.com/1/1_a.jpg\n"
      " 42 ,http://farm2.staticflickr.com/2/42_b.jpg\n"
      "43,\n"
      "44,http://farm2.staticflickr.com/2/44_c.jpg\n");
  FetchListReader reader(csv, "test", {});
  for (const FetchEntry& entry : read_all({path, 0, 1})) {
    const auto expected = reader.next();
    ASSERT_TRUE(expected);
    EXPECT_EQ(entry.row, expected->row);
    EXPECT_EQ(entry.name, expected->name);
    EXPECT_EQ(entry.extension, "jpg");
    EXPECT_EQ(entry.address, expected->address);
  }
  EXPECT_FALSE(reader.next());
}

TEST(YfccDatabase, ShardsAreRowsByTheirRemainder) {
  const fs::path path = make_database("yfcc_shards", {kTable, kRows});
  const auto even = read_all({path, 0, 2});
  ASSERT_EQ(even.size(), 3u);
  EXPECT_EQ(even[1].name, "0/42");
  YfccDatabase odd(path, 1, 2);
  EXPECT_FALSE(odd.next());
  EXPECT_EQ(odd.num_incomplete(), 2);
  YfccDatabase last(path, 4, 5);
  EXPECT_TRUE(last.next());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(last.next()) << "begins again";
}

TEST(YfccDatabase, WhatIsNoSuchDatabaseIsRefused) {
  EXPECT_THROW(YfccDatabase(make_database("yfcc_other", {"CREATE TABLE t (a)"}), 0, 1), UserError);
  EXPECT_THROW(YfccDatabase(fresh_folder("yfcc_none") / "none", 0, 1), UserError);
  const fs::path path = make_database("yfcc_cut", {kTable, kRows});
  const std::string bytes = read_file(path);
  for (const size_t size : {size_t{50}, size_t{4096}, size_t{5000}, bytes.size() - 1}) {
    write_file_atomically(path, bytes.substr(0, size));
    EXPECT_THROW(read_all({path, 0, 1}), UserError) << size;
  }
  write_file_atomically(path, "photoid,downloadurl\n");
  EXPECT_FALSE(is_sqlite(path));
  const fs::path outside =
      make_database("yfcc_name", {kTable,
                                  "INSERT INTO yfcc100m_dataset (photoid, downloadurl) "
                                  "VALUES ('../1', 'http://a/b.jpg')"});
  EXPECT_THROW(read_all({outside, 0, 1}), UserError);
}

}  // namespace
}  // namespace i1
