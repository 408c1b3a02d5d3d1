// make_tiny_data FOLDER: a TFRecord set of 24 small pictures with captions, made by rule.
#include <cstdio>

#include "i1/core/random.h"
#include "i1/data/example.h"
#include "i1/data/shard_writer.h"
#include "i1/io/image.h"

namespace {

constexpr int kSide = 32, kCount = 24;
constexpr const char* kColours[] = {"red", "green", "blue", "yellow"};
constexpr uint8_t kValues[][3] = {{220, 30, 30}, {30, 180, 60}, {40, 70, 220}, {240, 220, 40}};
constexpr const char* kShapes[] = {"square", "bar", "cross"};

bool is_inside(int shape, int x, int y) {
  const bool is_column = x > 12 && x<20, is_row = y> 12 && y < 20;
  if (shape == 0) return x > 6 && x < 26 && y > 6 && y < 26;
  return shape == 1 ? is_row : is_row || is_column;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_tiny_data FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  i1::ShardWriter writer(folder / i1::shard_name(0, 1));
  for (int i = 0; i < kCount; ++i) {
    const int colour = i % 4, shape = i / 4 % 3;
    i1::Image image = i1::make_image(kSide, kSide);
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        for (int c = 0; c < 3; ++c)
          image.row(y)[3 * x + c] = is_inside(shape, x, y) ? kValues[colour][c] : 255;
      }
    }
    const std::string caption = std::string("a ") + kColours[colour] + " " + kShapes[shape];
    writer.write({i1::encode_png(image),
                  kSide,
                  kSide,
                  3,
                  {caption, std::string(kShapes[shape])},
                  "tiny/" + std::to_string(i)});
  }
  writer.close();
  i1::DatasetInfo info;
  info.resolution = kSide;
  info.shard_lengths = {kCount};
  info.num_payload_bytes = writer.num_payload_bytes();
  i1::write_dataset_info(folder, info);
  return 0;
}
