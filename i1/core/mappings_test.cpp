// Mapped files that change while they are in use.
#include "i1/core/mappings.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "i1/core/testing.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBytes = 100'000;  // some pages, and not a whole number of them

fs::path file_of(const std::string& name, char value) {
  const fs::path path = fresh_folder(name) / "weights";
  write_file_atomically(path, std::string(kBytes, value));
  fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(1));
  return path;
}

void write_in_place(const fs::path& path, size_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(offset));
  file << bytes;
}

// A status of 0 says that all was as expected; what a process with a lost page has is of no use to
// the tests after it.
template <class Run>
void in_process(const Run& run) {
  EXPECT_EXIT(
      {
        run();
        std::exit(::testing::Test::HasFailure() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(Mappings, ALostPageReadsAsZerosAndIsTold) {
  const fs::path path = file_of("lost", 'x');
  in_process([&] {
    const MappedFile file(path);
    catch_lost_pages();
    check_mapped_files();
    fs::resize_file(path, kBytes / 2);
    EXPECT_EQ(file.bytes()[0], std::byte{'x'});
    EXPECT_EQ(lost_page_message(), "");
    EXPECT_EQ(file.bytes()[kBytes - 1], std::byte{0});
    EXPECT_EQ(file.bytes()[kBytes - 2], std::byte{0});
    EXPECT_EQ(lost_page_message().find(path.string() + ": was cut off while it was read"), 0u);
    EXPECT_THROW(check_lost_pages(), Failure);
    EXPECT_THROW(check_mapped_files(), Failure);
  });
}

TEST(Mappings, NothingGetsItsNameAfterALostPage) {
  const fs::path path = file_of("names", 'x');
  const fs::path target = path.parent_path() / "target", folder = path.parent_path() / "folder";
  in_process([&] {
    const MappedFile file(path);
    catch_lost_pages();
    fs::resize_file(path, 0);
    EXPECT_THROW(
        write_file_atomically(target, std::string(1, static_cast<char>(file.bytes()[kBytes / 2]))),
        Failure);
    EXPECT_THROW(AtomicFolder(folder).commit(), Failure);
    EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), {}), 1);
  });
}

// By the signal; the address sanitizer takes it, reports and exits.
bool is_ended_by_bus_error(int status) {
#ifdef __SANITIZE_ADDRESS__
  return WIFEXITED(status) && WEXITSTATUS(status) != 0;
#else
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
#endif
}

TEST(Mappings, OtherBusErrorsEndTheProgramAsBefore) {
  const fs::path path = file_of("other", 'x'), foreign = file_of("foreign", 'x');
  const MappedFile other(path);
  EXPECT_EXIT(
      {
        catch_lost_pages();
        std::raise(SIGBUS);
      },
      is_ended_by_bus_error, "");
  EXPECT_EXIT(
      {
        catch_lost_pages();
        const MappedFile file(foreign);
        remove_mapping(const_cast<std::byte*>(file.bytes().data()));  // as if not by MappedFile
        fs::resize_file(foreign, 0);
        std::printf("%d", static_cast<int>(file.bytes()[0]));
      },
      is_ended_by_bus_error, "");
}

TEST(Mappings, WhatIsWrittenInPlaceIsTold) {
  for (const bool is_longer : {false, true}) {
    const fs::path path = file_of("written", 'x');
    const MappedFile file(path);
    check_mapped_files();
    write_in_place(path, is_longer ? kBytes : 10, "other");
    try {
      check_mapped_files();
      ADD_FAILURE() << "not noticed";
    } catch (const Failure& failure) {
      EXPECT_NE(std::string(failure.what())
                    .find(concat(path.string(), ": was written to while it was read (", kBytes,
                                 " bytes when opened, ", kBytes + (is_longer ? 5 : 0), " now)")),
                std::string::npos)
          << failure.what();
    }
  }
  check_mapped_files();  // of files that nobody holds any more nothing is told
}

TEST(Mappings, ReplacedAndRemovedFilesStayAsTheyWere) {
  const fs::path path = file_of("replaced", 'x');
  const MappedFile file(path);
  write_file_atomically(path, "another file");
  check_mapped_files();
  EXPECT_EQ(file.bytes().size(), kBytes);
  EXPECT_EQ(file.bytes()[kBytes - 1], std::byte{'x'});
  fs::remove(path);
  check_mapped_files();
  EXPECT_EQ(file.bytes()[0], std::byte{'x'});
}

}  // namespace
}  // namespace i1
