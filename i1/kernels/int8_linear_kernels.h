// Launch functions around the int8 product: plain pointers and sizes, but for LibTorch's product.
#pragma once

#include <ATen/core/Tensor.h>

#include "i1/kernels/int8_linear.h"
#include "i1/kernels/launch.h"

namespace i1::kernels {

/// How int8 weights lie in memory: panels of 32 outputs, and in a panel for every 4 inputs the 32
/// groups of 4 bytes that one instruction multiplies. (panels, groups, 32, 4)
constexpr int64_t kPanelColumns = 32, kGroupDepth = 4;
constexpr int64_t num_panels(int64_t out) { return (out + kPanelColumns - 1) / kPanelColumns; }
constexpr int64_t num_groups(int64_t in) { return (in + kGroupDepth - 1) / kGroupDepth; }

/// Rows of quantized x end with zeros, up to the depth of a tile of AMX.
constexpr int64_t kRowPadding = 64;
constexpr int64_t padded_depth(int64_t in) {
  return (in + kRowPadding - 1) / kRowPadding * kRowPadding;
}

constexpr int64_t num_blocks(int64_t in, int64_t block_depth) {
  return (in + block_depth - 1) / block_depth;
}

struct QuantizeRows {
  const void* x;  ///< (rows, K), rows stride apart
  int64_t stride, rows, K, block_depth;
  int8_t* values;  ///< (rows, padded_depth(K)) contiguous; zeros behind K
  float* scale;    ///< (rows, num_blocks)
  int32_t* sum;    ///< (rows, num_blocks) of the values
  Element element;
};

struct Int8Product {
  const int8_t* x;        ///< (rows, padded_depth(4 groups)) contiguous
  const float* x_scale;   ///< (rows, blocks of block_depth)
  const int32_t* x_sum;   ///< the same shape
  const uint8_t* panels;  ///< (num_panels(F), groups, 32, 4): the weights + 128
  const float* scale;     ///< (F)
  const void* bias;       ///< (F) of the element's type
  int64_t rows, groups, F;
  int64_t block_depth;  ///< a multiple of 4
  void* y;              ///< (rows, F), rows y_stride apart
  int64_t y_stride;
  Element element;
};

struct WidenRows {
  const int8_t* weight;  ///< (rows, columns) contiguous
  const float* scale;    ///< (rows)
  int64_t columns;
  void* wide;  ///< (rows, columns) of the element's type, contiguous
  Element element;
};

/// Rows [begin, end).
void widen_rows_cpu(const WidenRows& op, int64_t begin, int64_t end);
void quantize_rows_cpu(const QuantizeRows& op, int64_t begin, int64_t end);

/// What the products below need of the processor; AMX's has_amx().
bool has_vnni();
bool has_avx2();

/// Panels [begin, end) of y = (x w^T) scale + bias: the sums of a block exact, each then multiplied
/// by x_scale and added in float32, in order. All give the same bits. AMX's takes a
/// block_depth that is a multiple of 64, or no less than the depth.
void int8_product_amx(const Int8Product& op, int64_t begin, int64_t end);
void int8_product_vnni(const Int8Product& op, int64_t begin, int64_t end);
void int8_product_avx2(const Int8Product& op, int64_t begin, int64_t end);

/// The same y, (N, out) of x's dtype, by LibTorch's int8 matrix product on x's device; the weights
/// are unpacked each time, which costs a GPU little beside the product. x: (N, in).
at::Tensor int8_product_libtorch(const at::Tensor& x, const Int8Weights& layer,
                                 int64_t block_depth);

}  // namespace i1::kernels
