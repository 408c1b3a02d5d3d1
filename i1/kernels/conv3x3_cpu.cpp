// A block of tiles at a time: 4x4 pixels of each, two apart, go through B^T d B; their 16 points
// are 16 products of matrices, (tiles, in) by (in, out); A^T m A makes 2x2 results of 16 points.
// Every sum goes over `in` in order, wherever its tile lies in a block.
#include "i1/kernels/conv3x3_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/conv3x3_cpu.cpp"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <memory>

#include "i1/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

using kernels::Conv3x3;
using kernels::kConvPanel;
using kernels::kConvPoints;
using kernels::kConvRows;

// Of a panel: 1 to 4, as long as a vector is.
using PanelFloats = hn::CappedTag<float, kConvPanel>;
constexpr int kPanelVectors = static_cast<int>(kConvPanel / hn::MaxLanes(PanelFloats()));
// 6 rows by 4 vectors of sums fill the 32 registers of AVX-512, 6 by 2 the 16 of AVX2.
constexpr int kPanelsAtOnce = hn::MaxLanes(PanelFloats()) == kConvPanel ? 4 : 1;

HWY_INLINE void transform(Vector a, Vector b, Vector c, Vector d, Vector* to) {  // B^T
  to[0] = hn::Sub(a, c);
  to[1] = hn::Add(b, c);
  to[2] = hn::Sub(c, b);
  to[3] = hn::Sub(b, d);
}

struct Tile {
  int64_t b, y, x;  // picture; first row and column of results
};

Tile tile_at(const Conv3x3& a, int64_t index) {
  const int64_t across = (a.W + 1) / 2, down = (a.H + 1) / 2;
  return {index / (across * down), index / across % down * 2, index % across * 2};
}

// The transformed points of a tile, `stride` apart. `zeros`: a pixel beyond the border.
void transform_tile(const Conv3x3& a, const Tile& tile, const float* zeros, float* points,
                    int64_t stride) {
  const float* pixels[kConvPoints];
  for (int64_t i = 0; i < kConvPoints; ++i) {
    const int64_t y = tile.y + i / 4 - 1, x = tile.x + i % 4 - 1;
    const bool is_inside = y >= 0 && y < a.H && x >= 0 && x < a.W;
    pixels[i] = is_inside ? a.x + ((tile.b * a.H + y) * a.W + x) * a.in : zeros;
  }
  for_each_vector(static_cast<size_t>(a.in), [&](auto lanes, size_t c) HWY_ATTR {
    Vector columns[4][4];
    for (int i = 0; i < 4; ++i) {
      transform(lanes.load(pixels[i] + c), lanes.load(pixels[4 + i] + c),
                lanes.load(pixels[8 + i] + c), lanes.load(pixels[12 + i] + c), columns[i]);
    }
    for (int i = 0; i < 4; ++i) {
      Vector row[4];
      transform(columns[0][i], columns[1][i], columns[2][i], columns[3][i], row);
      for (int j = 0; j < 4; ++j) lanes.store(row[j], points + (4 * i + j) * stride + c);
    }
  });
}

// Six tiles' sums of kPanels panels of outputs.
template <int kPanels>
HWY_INLINE void multiply(const float* tiles, int64_t in, const float* weights, int64_t panel_stride,
                         float* sums, int64_t sums_stride) {
  const PanelFloats d;
  constexpr int kVectors = kPanels * kPanelVectors;
  hn::Vec<PanelFloats> sum[kConvRows][kVectors];
  for (auto& row : sum)
    for (auto& s : row) s = hn::Zero(d);
  for (int64_t c = 0; c < in; ++c) {
    hn::Vec<PanelFloats> w[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      w[v] = hn::Load(d, weights + v / kPanelVectors * panel_stride + c * kConvPanel +
                             v % kPanelVectors * hn::Lanes(d));
    }
    for (int64_t r = 0; r < kConvRows; ++r) {
      const auto value = hn::Set(d, tiles[r * in + c]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(value, w[v], sum[r][v]);
    }
  }
  for (int64_t r = 0; r < kConvRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      hn::Store(sum[r][v], d, sums + r * sums_stride + v * hn::Lanes(d));
}

// A point of num_rows tiles, a multiple of six: (tiles, in) by the point's weights.
void multiply_point(const Conv3x3& a, const float* tiles, int64_t num_rows, const float* weights,
                    float* sums) {
  const int64_t num_panels = (a.out + kConvPanel - 1) / kConvPanel;
  const int64_t panel_stride = a.in * kConvPanel, sums_stride = num_panels * kConvPanel;
  for (int64_t p = 0; p < num_panels;) {
    const int64_t count = p + kPanelsAtOnce <= num_panels ? kPanelsAtOnce : 1;
    const auto run = count == 1 ? multiply<1> : multiply<kPanelsAtOnce>;
    for (int64_t r = 0; r < num_rows; r += kConvRows) {
      run(tiles + r * a.in, a.in, weights + p * panel_stride, panel_stride,
          sums + r * sums_stride + p * kConvPanel, sums_stride);
    }
    p += count;
  }
}

// The results of a tile from its points, `stride` apart.
void store_results(const Conv3x3& a, const Tile& tile, const float* points, int64_t stride) {
  for_each_vector(static_cast<size_t>(a.out), [&](auto lanes, size_t c) HWY_ATTR {
    const auto point = [&](int i) HWY_ATTR { return lanes.load(points + i * stride + c); };
    Vector rows[2][4];  // A^T m
    for (int i = 0; i < 4; ++i) {
      const Vector middle = point(4 + i), next = point(8 + i);
      rows[0][i] = hn::Add(hn::Add(point(i), middle), next);
      rows[1][i] = hn::Sub(hn::Sub(middle, next), point(12 + i));
    }
    const Vector bias = a.bias == nullptr ? zero() : lanes.load(a.bias + c);
    for (int64_t i = 0; i < 2 && tile.y + i < a.H; ++i) {
      float* y = a.y + ((tile.b * a.H + tile.y + i) * a.W + tile.x) * a.out + c;
      const Vector* m = rows[i];
      lanes.store(hn::Add(hn::Add(hn::Add(m[0], m[1]), m[2]), bias), y);
      if (tile.x + 1 < a.W)
        lanes.store(hn::Add(hn::Sub(hn::Sub(m[1], m[2]), m[3]), bias), y + a.out);
    }
  });
}

}  // namespace

void conv3x3(const Conv3x3& a, int64_t begin, int64_t end) {
  const int64_t num_panels = (a.out + kConvPanel - 1) / kConvPanel;
  const int64_t in_stride = a.tiles * a.in, out_width = num_panels * kConvPanel;
  const int64_t out_stride = a.tiles * out_width;
  const auto floats = [](int64_t count) {
    return std::unique_ptr<float[], decltype(&std::free)>(
        static_cast<float*>(std::aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64)),
        &std::free);
  };
  const auto before = floats(kConvPoints * in_stride + a.in);
  const auto after = floats(kConvPoints * out_stride);
  std::fill_n(before.get(), kConvPoints * in_stride + a.in, 0.0f);
  const float* zeros = before.get() + kConvPoints * in_stride;
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * a.tiles, count = std::min(a.tiles, a.num_tiles() - first);
    for (int64_t t = 0; t < count; ++t)
      transform_tile(a, tile_at(a, first + t), zeros, before.get() + t * a.in, in_stride);
    const int64_t num_rows = (count + kConvRows - 1) / kConvRows * kConvRows;
    for (int64_t i = 0; i < kConvPoints; ++i) {
      multiply_point(a, before.get() + i * in_stride, num_rows,
                     a.packed + i * num_panels * a.in * kConvPanel, after.get() + i * out_stride);
    }
    for (int64_t t = 0; t < count; ++t)
      store_results(a, tile_at(a, first + t), after.get() + t * out_width, out_stride);
  }
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {

HWY_EXPORT(conv3x3);
void kernels::conv3x3_cpu(const Conv3x3& op, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(conv3x3)(op, begin, end);
}

void kernels::conv3x3_pack(const Conv3x3Weights& op, int64_t begin, int64_t end) {
  const int64_t num_panels = (op.out + kConvPanel - 1) / kConvPanel;
  const auto transform = [](double a, double b, double c, double* to) {  // G
    to[0] = a;
    to[1] = (a + c + b) / 2;
    to[2] = (a + c - b) / 2;
    to[3] = c;
  };
  for (int64_t o = begin * kConvPanel; o < end * kConvPanel; ++o) {
    for (int64_t c = 0; c < op.in; ++c) {
      const auto weight = [&](int64_t i, int64_t j) -> double {
        if (o >= op.out) return 0;
        return op
            .weight[o * op.strides[0] + c * op.strides[1] + i * op.strides[2] + j * op.strides[3]];
      };
      double columns[3][4], rows[4][4];
      for (int64_t j = 0; j < 3; ++j)
        transform(weight(0, j), weight(1, j), weight(2, j), columns[j]);
      for (int64_t i = 0; i < 4; ++i)
        transform(columns[0][i], columns[1][i], columns[2][i], rows[i]);
      for (int64_t k = 0; k < kConvPoints; ++k) {
        op.packed[((k * num_panels + o / kConvPanel) * op.in + c) * kConvPanel + o % kConvPanel] =
            static_cast<float>(rows[k / 4][k % 4]);
      }
    }
  }
}

}  // namespace i1
#endif
