// Small TFRecord sets for tests.
#pragma once

#include <string>
#include <vector>

#include "i1/data/example.h"
#include "i1/data/shard_writer.h"
#include "i1/data/test_caches.h"
#include "i1/io/image.h"

namespace i1 {

/// 8 x 8 pixels, all of one value.
inline Image flat_picture(int value, int side = 8) {
  Image image = make_image(side, side);
  std::fill(image.pixels.begin(), image.pixels.end(), static_cast<uint8_t>(value));
  return image;
}

/// Picture `number`: grey value `number` mod 256, captions "NAME NUMBER a" and "... b".
inline Example test_example(int64_t number, const std::string& name = "set") {
  const std::string caption = name + " " + std::to_string(number);
  return {encode_png(flat_picture(static_cast<int>(number % 256))),
          8,
          8,
          3,
          {caption + " a", caption + " b"},
          std::to_string(number)};
}

/// Shards of these lengths, examples numbered on, with dataset_info.json.
inline std::filesystem::path write_test_records(const std::filesystem::path& folder,
                                                const std::vector<int64_t>& lengths,
                                                const std::string& name = "set") {
  std::filesystem::create_directories(folder);
  const auto num_shards = static_cast<int64_t>(lengths.size());
  DatasetInfo info;
  info.resolution = 8;
  int64_t number = 0;
  for (int64_t shard = 0; shard < num_shards; ++shard) {
    ShardWriter writer(folder / shard_name(shard, num_shards));
    for (int64_t i = 0; i < lengths[static_cast<size_t>(shard)]; ++i)
      writer.write(test_example(number++, name));
    info.num_payload_bytes += writer.num_payload_bytes();
    info.shard_lengths.push_back(writer.num_records());
    writer.close();
  }
  write_dataset_info(folder, info);
  return folder;
}

/// One shard of these payloads, without dataset_info.json.
inline std::filesystem::path write_payloads(const std::filesystem::path& folder,
                                            const std::vector<std::string>& payloads) {
  std::filesystem::create_directories(folder);
  std::string bytes;
  for (const std::string& payload : payloads) bytes += frame_record(payload);
  write_file_atomically(folder / shard_name(0, 1), bytes);
  return folder;
}

}  // namespace i1
