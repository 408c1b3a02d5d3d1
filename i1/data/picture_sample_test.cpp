#include "i1/data/picture_sample.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "i1/data/test_records.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

using Counts = std::map<std::string, int64_t>;

// A PNG's header alone, of any size.
std::string png_header(int width, int height) {
  std::string bytes = encode_png(flat_picture(1));
  const auto put_number = [&](size_t at, uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
  };
  put_number(16, width);
  put_number(20, height);
  put_number(29, crc32(0, reinterpret_cast<const Bytef*>(bytes.data()) + 12, 17));
  return bytes.substr(0, 33);
}

TEST(PictureFilter, FiltersLookAtTheHeaderAlone) {
  const fs::path root = fresh_folder("filters");
  write_file_atomically(root / "huge.png", png_header(20990, 29700));
  write_file_atomically(root / "long.png", png_header(100, 301));
  write_file_atomically(root / "small.png", png_header(31, 90));
  write_file_atomically(root / "fits.png", encode_png(flat_picture(1, 32)));
  std::vector<TableRow> rows;
  for (const char* key : {"huge", "long", "small", "fits"})
    rows.push_back({{"key", key}, {"one", "x"}});
  RecordBuildOptions options;
  options.num_shards = 2;
  options.resolutions = {{8, 32}};
  options.max_aspect = 3;
  options.max_pixels = 100'000'000;
  const auto pictures = list_folder(root);
  const CaptionTable table(rows, {"one"}, "test");
  const BuiltSet built = build_records(pictures, table, options, root / "set")[0];
  EXPECT_EQ(built.num_records(), 1);
  const BadRecords left_out = built.left_out();
  EXPECT_EQ(left_out.counts, (Counts{{kTooManyPixels, 1}, {kTooElongated, 1}, {kTooSmall, 1}}));
  EXPECT_EQ(left_out.first.at(kTooManyPixels), "huge (20990x29700)");
  options.target_count = 3;  // a sample is drawn of what passes
  EXPECT_EQ(build_records(pictures, table, options, root / "sample")[0].num_records(), 1);
}

TEST(PictureFilter, EveryFormatHasAHeaderThatFiltersRead) {
  const fs::path root = fresh_folder("filter_formats");
  std::vector<TableRow> rows;
  for (const char* name : {"jpeg_444.jpg", "shape_64x64.png", "webp_lossy_odd.webp",
                           "gif_named.jpg", "bmp_24_odd.bmp", "tiff_deflate_gray.tif"}) {
    fs::copy_file(fs::path("goldens/data/images/inputs") / name, root / name);
    rows.push_back({{"key", fs::path(name).stem().string()}, {"one", "x"}});
  }
  RecordBuildOptions options;
  options.num_shards = 2;
  options.max_pixels = 10;
  const BuiltSet built =
      build_records(list_folder(root), {rows, {"one"}, "test"}, options, root / "set")[0];
  EXPECT_EQ(built.left_out().counts, (Counts{{kTooManyPixels, 6}}));
}

}  // namespace
}  // namespace i1
