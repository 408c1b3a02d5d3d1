#include "i1/data/resample.h"

#include <gtest/gtest.h>

#include "i1/core/random.h"

namespace i1 {
namespace {

std::vector<uint8_t> noise(size_t size, uint64_t seed) {
  const RandomStream stream{seed, fnv1a("resample")};
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(stream.bits(i));
  return bytes;
}

TEST(Resample, PassesAreThoseOfTheirPlainTwins) {
  for (const auto& [in_size, out_size] :
       {std::pair{1, 1}, {1, 9}, {7, 5}, {33, 32}, {100, 17}, {257, 256}, {1000, 3}, {5000, 1}}) {
    const Taps taps = triangle_taps({in_size, out_size, out_size / 4, (out_size + 1) / 2});
    const auto num_in = static_cast<size_t>(taps.end() - taps.first());
    for (const int channels : {3, 4}) {
      SCOPED_TRACE(::testing::Message() << in_size << " to " << out_size << ", " << channels);
      const std::vector<uint8_t> row = noise(num_in * channels + kReadBehind, in_size);
      std::vector<uint8_t> found(taps.windows.size() * channels), expected = found;
      resample_row(row.data(), channels, taps, found.data());
      reference::resample_row(row.data(), channels, taps, expected.data());
      EXPECT_EQ(found, expected);
    }
    for (const size_t row_bytes : {1, 3, 15, 16, 17, 63, 100}) {
      const std::vector<uint8_t> rows = noise(num_in * row_bytes, row_bytes);
      std::vector<uint8_t> found(row_bytes), expected(row_bytes);
      for (size_t i = 0; i < taps.windows.size(); ++i) {
        const uint8_t* first =
            rows.data() + static_cast<size_t>(taps.windows[i].begin - taps.first()) * row_bytes;
        resample_column(first, row_bytes, taps, i, found.data());
        reference::resample_column(first, row_bytes, taps, i, expected.data());
        EXPECT_EQ(found, expected) << in_size << " to " << out_size << ", " << row_bytes;
      }
    }
  }
}

}  // namespace
}  // namespace i1
