// Replays tests/corpus: the seeds of the fuzz targets and every input that once broke a reader.
#include <gtest/gtest.h>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/fuzz_readers.h"

namespace i1 {
namespace {

struct Reader {
  const char* folder;
  void (*read)(std::string_view);
};

class Corpus : public testing::TestWithParam<Reader> {};

TEST_P(Corpus, EveryFileIsReadOrRefused) {
  const std::filesystem::path folder = std::filesystem::path("tests/corpus") / GetParam().folder;
  ASSERT_TRUE(std::filesystem::is_directory(folder)) << "tests run from the repository's root";
  int64_t num_read = 0, num_refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    try {
      GetParam().read(read_file(entry.path()));
      ++num_read;
    } catch (const UserError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << entry.path();
      ++num_refused;
    } catch (const std::exception& error) {
      ADD_FAILURE() << entry.path() << ": " << error.what();
    }
  }
  EXPECT_GT(num_read, 0);
  EXPECT_GT(num_refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Readers, Corpus,
                         testing::Values(Reader{"safetensors", fuzz_safetensors},
                                         Reader{"gguf", fuzz_gguf}, Reader{"pytorch", fuzz_pytorch},
                                         Reader{"npz", fuzz_npz}, Reader{"tfrecord", fuzz_tfrecord},
                                         Reader{"image", fuzz_image}),
                         [](const auto& info) { return std::string(info.param.folder); });

}  // namespace
}  // namespace i1
