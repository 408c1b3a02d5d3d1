#include "i1/io/block_formats.h"

#include <ATen/Parallel.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "i1/core/error.h"

namespace i1 {
namespace {

constexpr int64_t kHalf = kBlockValues / 2, kBlocksPerTask = 1024;
constexpr double kLargestHalf = 65504;

void put_scale(float scale, std::byte* block) {
  const c10::Half half(scale);
  std::memcpy(block, &half, sizeof half);
}

float scale_of(const std::byte* block) {
  c10::Half half;
  std::memcpy(&half, block, sizeof half);
  return half;
}

// 1 / scale, of the scale before it is rounded to float16, as every writer of these formats has it.
float inverse(float scale) { return scale == 0 ? 0 : 1 / scale; }

void encode_q8_0(const float* values, std::byte* block) {
  float largest = 0;
  for (int64_t i = 0; i < kBlockValues; ++i) largest = std::max(largest, std::abs(values[i]));
  const float scale = largest / 127, factor = inverse(scale);
  put_scale(scale, block);
  for (int64_t i = 0; i < kBlockValues; ++i)
    block[2 + i] = static_cast<std::byte>(static_cast<int8_t>(std::round(values[i] * factor)));
}

void decode_q8_0(const std::byte* block, float* values) {
  const float scale = scale_of(block);
  for (int64_t i = 0; i < kBlockValues; ++i)
    values[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
}

void encode_q4_0(const float* values, std::byte* block) {
  float extreme = 0;
  for (int64_t i = 0; i < kBlockValues; ++i)
    if (std::abs(values[i]) > std::abs(extreme)) extreme = values[i];
  const float scale = extreme / -8, factor = inverse(scale);
  put_scale(scale, block);
  const auto quantize = [&](float value) {
    return static_cast<uint8_t>(std::clamp(value * factor + 8.5f, 0.0f, 15.0f));
  };
  for (int64_t i = 0; i < kHalf; ++i)
    block[2 + i] = static_cast<std::byte>(quantize(values[i]) | quantize(values[kHalf + i]) << 4);
}

void decode_q4_0(const std::byte* block, float* values) {
  const float scale = scale_of(block);
  for (int64_t i = 0; i < kHalf; ++i) {
    const auto both = static_cast<int>(block[2 + i]);
    values[i] = scale * static_cast<float>((both & 15) - 8);
    values[kHalf + i] = scale * static_cast<float>((both >> 4) - 8);
  }
}

struct Format {
  std::string_view name;
  int64_t bytes;
  double largest;
  void (*encode)(const float*, std::byte*);
  void (*decode)(const std::byte*, float*);
};

constexpr Format kFormats[] = {{"Q8_0", 34, 127 * kLargestHalf, encode_q8_0, decode_q8_0},
                               {"Q4_0", 18, 8 * kLargestHalf, encode_q4_0, decode_q4_0}};

const Format& format_of(std::string_view encoding) {
  for (const Format& format : kFormats)
    if (format.name == encoding) return format;
  throw Failure(concat("no block format \"", encoding, "\""));
}

int64_t count_blocks(const Format& format, size_t num_values, size_t num_bytes) {
  const auto num_blocks = static_cast<int64_t>(num_values) / kBlockValues;
  check_machine(
      num_values % kBlockValues == 0 && num_bytes == static_cast<size_t>(num_blocks * format.bytes),
      num_bytes, " bytes of ", format.name, " for ", num_values, " values");
  return num_blocks;
}

}  // namespace

int64_t block_bytes(std::string_view encoding) {
  for (const Format& format : kFormats)
    if (format.name == encoding) return format.bytes;
  return 0;
}

double largest_in_blocks(std::string_view encoding) { return format_of(encoding).largest; }

void encode_blocks(std::string_view encoding, std::span<const float> values,
                   std::span<std::byte> blocks) {
  const Format& format = format_of(encoding);
  const int64_t num_blocks = count_blocks(format, values.size(), blocks.size());
  at::parallel_for(0, num_blocks, kBlocksPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      format.encode(values.data() + i * kBlockValues, blocks.data() + i * format.bytes);
  });
}

void decode_blocks(std::string_view encoding, std::span<const std::byte> blocks,
                   std::span<float> values) {
  const Format& format = format_of(encoding);
  const int64_t num_blocks = count_blocks(format, values.size(), blocks.size());
  at::parallel_for(0, num_blocks, kBlocksPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      format.decode(blocks.data() + i * format.bytes, values.data() + i * kBlockValues);
  });
}

}  // namespace i1
