#include "i1/data/tar_set.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/record_builder.h"
#include "i1/data/test_records.h"
#include "i1/data/verify.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

using Members = std::vector<std::pair<std::string, std::string>>;  // name, bytes

void write_tar(const fs::path& path, const Members& members, int format = ARCHIVE_FORMAT_TAR_USTAR,
               bool is_compressed = false) {
  archive* tar = archive_write_new();
  ASSERT_EQ(archive_write_set_format(tar, format), ARCHIVE_OK);
  if (is_compressed) {
    ASSERT_EQ(archive_write_add_filter_gzip(tar), ARCHIVE_OK);
  }
  ASSERT_EQ(archive_write_open_filename(tar, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, bytes] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 5, 123456789);  // pax stores the fraction in a header of its own
    ASSERT_EQ(archive_write_header(tar, entry), ARCHIVE_OK);
    ASSERT_EQ(archive_write_data(tar, bytes.data(), bytes.size()),
              static_cast<la_ssize_t>(bytes.size()));
    archive_entry_free(entry);
  }
  ASSERT_EQ(archive_write_close(tar), ARCHIVE_OK);
  archive_write_free(tar);
}

std::string picture(int value, int size = 16) { return encode_png(flat_picture(value, size)); }

// Two pictures with captions, one without, one broken, and what belongs to none.
Members members() {
  return {{"./0001.png", picture(1)},
          {"./0001.txt", "a first"},
          {"0001.json", R"({"long": "a first picture", "width": 16})"},
          {"sub/0002.seg.png", picture(9)},  // the ending is "seg.png": not a picture of the set
          {"sub/0002.PNG", picture(2)},
          {"sub/0002.txt", "a second"},
          {"sub/0002.json", R"({"long": "a second picture"})"},
          {"0003.jpg", "no picture"},
          {"0003.txt", "broken"},
          {"0003.json", R"({"long": "broken too"})"},
          {"0004.png", picture(4)},
          {"0004.json", "no JSON"},
          {std::string(150, 'd') + "/0005.png", picture(5)},
          {std::string(150, 'd') + "/0005.txt", std::string(70'000, 'x')},
          {"README", "of the set"}};
}

TEST(TarSet, PicturesAndCaptionsAreFoundInEveryKindOfTar) {
  for (const int format :
       {ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE}) {
    const fs::path tar = fresh_folder("tar_set") / "a.tar";
    ASSERT_NO_FATAL_FAILURE(write_tar(tar, members(), format));
    const TarSet set = list_tars({tar});
    ASSERT_EQ(set.pictures.size(), 5);
    EXPECT_EQ(set.num_unclear, 1);
    EXPECT_EQ(set.first_unclear, "sub/0002.seg.png");
    EXPECT_EQ(set.pictures[0].key, "0001");
    EXPECT_EQ(set.pictures[1].key, "sub/0002");
    EXPECT_EQ(read_source(set.pictures[0]), picture(1));
    EXPECT_EQ(read_source(set.pictures[1]), picture(2));
    EXPECT_EQ(read_source(set.pictures[4]), picture(5));
    const CaptionTable captions(set.captions, {"caption", "long"}, "test");
    EXPECT_EQ(captions.find("0001"), (std::vector<std::string>{"a first", "a first picture"}));
    EXPECT_EQ(captions.find("sub/0002"),
              (std::vector<std::string>{"a second", "a second picture"}));
    EXPECT_FALSE(captions.find("0004").has_value());
  }
}

TEST(TarSet, ASetOfSeveralTarsIsBuiltAndWhatCannotBeUsedIsCounted) {
  const fs::path folder = fresh_folder("tar_build");
  ASSERT_NO_FATAL_FAILURE(write_tar(folder / "b.tar", members()));
  ASSERT_NO_FATAL_FAILURE(write_tar(folder / "a.tar", {{"x.webp", "junk"}, {"x.txt", "of a.tar"}}));
  const TarSet set = list_tars(find_tars(folder));
  EXPECT_EQ(set.pictures.front().key, "x");  // tars by name
  RecordBuildOptions options;
  options.resolutions = {{8}};
  options.num_shards = 2;
  const CaptionTable captions(set.captions, {"caption"}, "test");
  const BuiltSet built = build_records(set.pictures, captions, options, folder / "set")[0];
  EXPECT_EQ(built.num_records(), 3);
  EXPECT_EQ(built.left_out().counts,
            (std::map<std::string, int64_t>{{kNotDecoded, 2}, {kWithoutCaption, 1}}));
  EXPECT_EQ(verify_records(folder / "set").bad.total(), 0);
}

TEST(TarSet, WhatIsNoPlainTarIsNamed) {
  const fs::path folder = fresh_folder("bad_tars"), tar = folder / "a.tar";
  const auto message = [&] {
    try {
      list_tars({tar});
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto expect_says = [&](const char* text) {
    EXPECT_NE(message().find(text), std::string::npos) << message();
    EXPECT_NE(message().find("a.tar"), std::string::npos) << message();
  };
  EXPECT_THROW(find_tars(folder), UserError);
  EXPECT_THROW(find_tars(folder / "none"), UserError);
  write_file_atomically(tar, "");
  expect_says("no tar");
  write_file_atomically(tar, std::string(5000, 'x'));
  expect_says("no tar");
  ASSERT_NO_FATAL_FAILURE(write_tar(tar, members(), ARCHIVE_FORMAT_TAR_USTAR, true));
  expect_says("no tar, compressed");
  ASSERT_NO_FATAL_FAILURE(write_tar(tar, {{"a.txt", "no picture"}}));
  expect_says("no picture inside");
}

TEST(TarSet, CutAnywhereItIsReadOrRefused) {
  const fs::path folder = fresh_folder("cut_tars"), whole = folder / "whole.tar";
  ASSERT_NO_FATAL_FAILURE(write_tar(whole, members(), ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE));
  const std::string bytes = read_file(whole);
  int num_read = 0;
  for (size_t size = 0; size < bytes.size(); size += 1003) {
    write_file_atomically(folder / "a.tar", std::string_view(bytes).substr(0, size));
    try {
      for (const SourcePicture& found : list_tars({folder / "a.tar"}).pictures) read_source(found);
      ++num_read;
    } catch (const UserError&) {
    }
  }
  EXPECT_GT(num_read, 0);  // a cut between two members cannot be told from an end
}

}  // namespace
}  // namespace i1
