// What every kernel's launch functions share. No LibTorch here: CUDA files include this too.
#pragma once

#include <cstdint>

struct CUstream_st;

namespace i1::kernels {

using Stream = CUstream_st*;  ///< cudaStream_t, without CUDA's headers

enum class Element : uint8_t { kFloat, kBfloat16 };

/// How rows are cut into blocks whose partial sums are added in order: the cut depends on the
/// number of rows alone, so sums do not depend on the number of threads.
struct RowBlocks {
  int64_t rows, rows_per_block, count;

  explicit constexpr RowBlocks(int64_t num_rows)
      : rows(num_rows),
        rows_per_block(num_rows > 64 * 256 ? (num_rows + 255) / 256 : 64),
        count((num_rows + rows_per_block - 1) / rows_per_block) {}

  constexpr int64_t begin(int64_t block) const { return block * rows_per_block; }
  constexpr int64_t end(int64_t block) const {
    return begin(block) + rows_per_block < rows ? begin(block) + rows_per_block : rows;
  }
};

}  // namespace i1::kernels
