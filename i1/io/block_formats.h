// Rows of 32-value blocks with one float16 scale each, as GGUF files hold matrices:
//
//   Q8_0  34 bytes  d, 32 int8 q               value = d q         d = largest magnitude / 127
//   Q4_0  18 bytes  d, 16 bytes of two q       value = d (q - 8)   d = value of that magnitude / -8
//
// A byte of Q4_0 holds value i in its low half and value i + 16 in its high one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace i1 {

constexpr int64_t kBlockValues = 32;

/// 0 for a name that is none of the above.
int64_t block_bytes(std::string_view encoding);

/// The largest magnitude whose scale float16 holds.
double largest_in_blocks(std::string_view encoding);

/// values: a multiple of 32, finite, up to largest_in_blocks; blocks: block_bytes for each 32.
void encode_blocks(std::string_view encoding, std::span<const float> values,
                   std::span<std::byte> blocks);
void decode_blocks(std::string_view encoding, std::span<const std::byte> blocks,
                   std::span<float> values);

}  // namespace i1
