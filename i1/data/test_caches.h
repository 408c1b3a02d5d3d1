// Small caches for tests.
#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "i1/core/testing.h"
#include "i1/data/cache.h"

namespace i1 {

inline CacheOrigin test_origin() {
  CacheOrigin origin;
  origin.resolution = 16;
  origin.vae = "test mean";
  origin.tokenizer = "1-00000001";
  origin.num_text_tokens = 8;
  return origin;
}

/// Example i: latents (2, 2, 2) all of value i; captions {i}, {i, 7}, ..., `num_captions` of them.
inline std::filesystem::path write_test_cache(const std::filesystem::path& folder,
                                              int64_t num_examples, int64_t num_captions = 2,
                                              const CacheOrigin& origin = test_origin()) {
  CacheWriter writer(folder, origin);
  for (int64_t i = 0; i < num_examples; ++i) {
    std::vector<int64_t> captions, ids = {i};
    for (int64_t c = 0; c < num_captions; ++c, ids.push_back(7))
      captions.push_back(writer.caption_number(ids));
    writer.add(at::full({1, 2, 2, 2}, static_cast<double>(i), at::kFloat), {captions},
               {"picture " + std::to_string(i)});
  }
  writer.finish();
  return folder;
}

}  // namespace i1
