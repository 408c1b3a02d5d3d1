// The numbers that GGUF files use for types.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string_view>

namespace i1 {

constexpr std::string_view kGgufMagic = "GGUF";
constexpr uint64_t kGgufAlignment = 32;  // where the metadata names none

enum class GgufValue : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

/// A tensor's type: a dtype, or blocks that are read as float32 (block_formats.h).
struct GgufType {
  uint32_t number;
  std::string_view name;
  at::ScalarType dtype;
  bool is_blocks = false;
};

constexpr GgufType kGgufTypes[] = {
    {0, "F32", at::kFloat},        {1, "F16", at::kHalf},  {2, "Q4_0", at::kFloat, true},
    {8, "Q8_0", at::kFloat, true}, {24, "I8", at::kChar},  {25, "I16", at::kShort},
    {26, "I32", at::kInt},         {27, "I64", at::kLong}, {28, "F64", at::kDouble},
    {30, "BF16", at::kBFloat16},
};

constexpr uint64_t align_up(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace i1
