// The eight registers of AMX as this project uses them: two by two tiles of sums. Included within
// the file's target attributes, after amx.h.
#pragma once

#include <algorithm>
#include <cstdint>

namespace i1::kernels {
namespace {

constexpr int64_t kTileRows = 16;

// Four tiles of sums, the upper and lower rows of the left factor, the left and right columns of
// the right one.
constexpr int kUpperLeft = 0, kUpperRight = 1, kLowerLeft = 2, kLowerRight = 3;
constexpr int kUpper = 4, kLower = 5, kLeft = 6, kRight = 7;

// In assembly, as GCC 12's intrinsics do not say that they read memory.
template <int kTile>
void load_tile(const void* p, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}
// The same of what comes but once before much else does, not to be kept in the first-level cache.
template <int kTile>
void load_passing_tile(const void* p, int64_t stride) {
  asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
void store_tile(void* p, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
void zero_tile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

// For loops that do nothing but load and multiply tiles, once a step. The unit for vectors of 512
// bits, by which tiles are stored, rests after about 0.8 us without work, and the next store then
// waits 0.28 us for it (Sapphire Rapids and its successors; a fifth of a product with 2016 inputs).
// One addition, of whatever is there, keeps it awake.
inline void keep_vectors_awake() { asm volatile("vpaddd %%zmm31, %%zmm31, %%zmm31" : : : "xmm31"); }

// Brings the line of p to where it will be written.
inline void prefetch_to_write(void* p) {
  asm volatile("prefetchw %0" : : "m"(*static_cast<char*>(p)));
}

// As LDTILECFG reads it. `num_rows` of the left factor, 1 to 32; every tile is 64 bytes wide.
struct alignas(64) TileShapes {
  explicit TileShapes(int64_t num_rows) {
    const auto upper = static_cast<uint8_t>(std::min(num_rows, kTileRows));
    const auto lower = static_cast<uint8_t>(num_rows - upper);
    const auto shape = [&](int tile, uint8_t height) {
      if (height == 0) return;
      rows[tile] = height;
      row_bytes[tile] = 64;
    };
    for (const int tile : {kUpperLeft, kUpperRight, kUpper}) shape(tile, upper);
    for (const int tile : {kLowerLeft, kLowerRight, kLower}) shape(tile, lower);
    for (const int tile : {kLeft, kRight}) shape(tile, kTileRows);
  }

  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Of this thread, set while it lives.
class Tiles {
 public:
  ~Tiles() { asm volatile("tilerelease"); }

  void shape_for(int64_t num_rows) {
    if (num_rows == num_rows_) return;
    const TileShapes shapes(num_rows);
    asm volatile("ldtilecfg %0" : : "m"(shapes));
    num_rows_ = num_rows;
  }

 private:
  int64_t num_rows_ = 0;
};

}  // namespace
}  // namespace i1::kernels
