#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/core/testing.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

struct Inner {
  int64_t depth = 3;
  static void fields(auto& self, auto&& visit) { visit("depth", self.depth); }
};

struct Outer {
  double learning_rate = 1e-4;
  std::string name = "tiny";
  std::vector<int64_t> sizes = {1, 2};
  Inner model;
  static void fields(auto& self, auto&& visit) {
    visit("learning_rate", self.learning_rate);
    visit("name", self.name);
    visit("sizes", self.sizes);
    visit("model", self.model);
  }
};

struct Numbers {
  int64_t whole = 1;
  int small = 1;
  uint64_t seed = 1;
  double real = 1;
  bool flag = false;
  static void fields(auto& self, auto&& visit) {
    visit("whole", self.whole);
    visit("small", self.small);
    visit("seed", self.seed);
    visit("real", self.real);
    visit("flag", self.flag);
  }
};

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Config, OverridesReachNestedFieldsAndComeBackFromJson) {
  Outer config;
  set_field(config, "model.depth=9");
  set_field(config, "learning_rate=0.5");
  set_field(config, "name=a red apple");
  set_field(config, "sizes=[4,5,6]");
  Outer copy;
  from_json(copy, to_json(config), "test");
  EXPECT_EQ(to_json(copy).dump(),
            R"({"learning_rate":0.5,"name":"a red apple","sizes":[4,5,6],"model":{"depth":9}})");
}

TEST(Config, MistakesNameTheFieldAndTheNearest) {
  Outer config;
  EXPECT_EQ(message_of([&] { set_field(config, "model.dept=9"); }),
            "unknown field \"model.dept\"; nearest: \"model.depth\"");
  EXPECT_NE(message_of([&] { set_field(config, "model.depth=many"); }).find("cannot be \"many\""),
            std::string::npos);
  EXPECT_NE(message_of([&] { set_field(config, "depth"); }).find("expected key=value"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              from_json(config, nlohmann::json::parse("[1]"), "f.json");
            }).find("f.json: expected"),
            std::string::npos);
}

TEST(Nearest, FindsTheClosestSpelling) {
  EXPECT_EQ(nearest("--sed", {"--seed", "--steps", "--size"}).find(), "--seed");
  EXPECT_EQ(nearest("x", {}).find(), "");
}

TEST(Config, NumbersAreTakenWithoutLossOrNotAtAll) {
  Numbers numbers;
  for (const char* bad :
       {"whole=2.5", "whole=1e30", "whole=true", "whole=18446744073709551615", "small=4294967296",
        "small=-1e10", "seed=-1", "seed=-1.0", "real=true", "real=\"1\"", "flag=1"}) {
    EXPECT_NE(message_of([&] { set_field(numbers, bad); }).find("cannot be"), std::string::npos)
        << bad;
  }
  for (const char* good : {"whole=1e6", "whole=-9223372036854775808", "small=-5",
                           "seed=18446744073709551615", "real=3", "flag=true"}) {
    EXPECT_EQ(message_of([&] { set_field(numbers, good); }), "no error") << good;
  }
  EXPECT_EQ(numbers.seed, UINT64_MAX);
  Outer config;
  EXPECT_NE(message_of([&] { set_field(config, "sizes=[1,2.5]"); }).find("cannot be"),
            std::string::npos);
  EXPECT_NE(message_of([&] { set_field(config, "model={}"); }).find("is a group of fields"),
            std::string::npos);
}

TEST(Files, AFileIsWholeOrAbsent) {
  const fs::path folder = fresh_folder("files_test");
  write_file_atomically(folder / "a", "hello");
  EXPECT_EQ(read_file(folder / "a"), "hello");
  EXPECT_THROW(write_atomically(folder / "a",
                                [](int fd) {
                                  write_all(fd, "half", 4);
                                  throw UserError("stop");
                                }),
               UserError);
  EXPECT_EQ(read_file(folder / "a"), "hello");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1)
      << "a temporary file is left";
}

TEST(Files, PiecesOfAnySizeBecomeTheBytesInOrder) {
  const fs::path path = fresh_folder("pieces_test") / "a";
  std::string expected;
  AtomicFile file(path);
  for (const size_t size : {0, 1, 5'000'000, 3, (2 << 20) - 4, 2 << 20, 1, 4'000'000}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 23));
    file.write(piece.data(), piece.size());
    expected += piece;
  }
  file.write_at(1, "xyz", 3);
  expected.replace(1, 3, "xyz");
  file.write("end", 3);
  file.commit();
  EXPECT_TRUE(read_file(path) == expected + "end");
}

TEST(Files, AFullDiskLeavesNothingBehind) {
  const fs::path folder = fresh_folder("full_disk_test");
  // A limit on the size of files fails as a full disk does: write() returns short, then an error.
  ASSERT_NE(std::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message =
      message_of([&] { write_file_atomically(folder / "big", std::string(5000, 'x')); });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_NE(message.find((folder / "big").string() + ": cannot write"), std::string::npos)
      << message;
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(Files, AFolderIsWholeOrAbsent) {
  const fs::path parent = fresh_folder("atomic_folder_test");
  const auto write = [&](const char* bytes, bool commit) {
    AtomicFolder folder(parent / "set/");  // a separator at the end is not a part of the name
    write_file_atomically(folder.partial() / "a", bytes);
    if (commit) folder.commit();
  };
  write("dropped", false);
  EXPECT_TRUE(fs::is_empty(parent));
  write("first", true);
  write("dropped", false);
  EXPECT_EQ(read_file(parent / "set/a"), "first");
  write("second", true);
  EXPECT_EQ(read_file(parent / "set/a"), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(parent), fs::directory_iterator()), 1);
}

TEST(Files, WhatIsNoFileIsNeverReplaced) {
  const fs::path folder = fresh_folder("replaced_test");
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink(pipe, folder / "link");
  for (const fs::path& path : {pipe, folder / "link", folder, fs::path()})
    EXPECT_THROW(write_file_atomically(path, "x"), UserError) << path;
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_THROW(MappedFile{pipe}, UserError);
  EXPECT_THROW(make_folder(pipe / "below"), UserError);
}

TEST(Files, WhatIsNoFileIsTheUsersMistake) {
  EXPECT_THROW(read_file("/nowhere/at/all"), UserError);
  EXPECT_THROW(read_file(testing::TempDir()), UserError);
  EXPECT_THROW(MappedFile("/nowhere/at/all"), UserError);
  EXPECT_THROW(write_file_atomically("/nowhere/at/all", "x"), UserError);
}

TEST(Files, AnEmptyFileMapsToNothing) {
  const fs::path path = fresh_folder("empty") / "file";
  write_file_atomically(path, "");
  EXPECT_TRUE(MappedFile(path).bytes().empty());
  EXPECT_EQ(read_file(path), "");
}

}  // namespace
}  // namespace i1
