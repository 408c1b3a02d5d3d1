// Attention of one head whose keys fit the cache. Everything is float32 in scratch, a block of
// queries at a time; rows are padded to whole vectors. The inner loop of all products holds 6 rows
// by 2 vectors in registers, and the sum of each element runs in one order whatever its block, so
// results do not depend on neighbours or threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "i1/kernels/attention_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/kernels/attention_cpu.cpp"
#include <hwy/foreach_target.h>

// clang-format off: after simd-inl.h, which opens the target
#include <hwy/contrib/math/math-inl.h>
#include "i1/kernels/simd-inl.h"
// clang-format on

#ifndef I1_ATTENTION_SIZES
#define I1_ATTENTION_SIZES
namespace i1::kernels {
namespace {
constexpr int64_t kPad = 16;      // the longest vector
constexpr int64_t kQueries = 24;  // in a block
int64_t padded(int64_t n) { return (n + kPad - 1) / kPad * kPad; }
}  // namespace
}  // namespace i1::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
namespace {

using kernels::kQueries;
using kernels::padded;

// Element (r, d) of the left side of a product lies at data[r * row_stride + d * depth_stride].
struct Left {
  const float* data;
  int64_t row_stride, depth_stride;

  Left from_row(int64_t row) const { return {data + row * row_stride, row_stride, depth_stride}; }
};

// out (R, V vectors) = or += left (R, depth) right (depth, ...), the rows of right and out `stride`
// floats apart.
template <int R, int V, bool kAdd>
HWY_INLINE void multiply_tile(const Left& left, int64_t depth, const float* right, float* out,
                              int64_t stride) {
  const auto L = static_cast<int64_t>(hn::Lanes(Floats()));
  Vector sums[R][V];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v)
      sums[r][v] = kAdd ? hn::LoadU(Floats(), out + r * stride + v * L) : zero();
  }
  for (int64_t d = 0; d < depth; ++d) {
    Vector row[V];
    for (int v = 0; v < V; ++v) row[v] = hn::LoadU(Floats(), right + d * stride + v * L);
    for (int r = 0; r < R; ++r) {
      const Vector factor = set(left.data[r * left.row_stride + d * left.depth_stride]);
      for (int v = 0; v < V; ++v) sums[r][v] = hn::MulAdd(factor, row[v], sums[r][v]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) hn::StoreU(sums[r][v], Floats(), out + r * stride + v * L);
  }
}

template <int R, bool kAdd>
HWY_INLINE void multiply_rows(const Left& left, int64_t depth, const float* right, float* out,
                              int64_t stride) {
  const auto L = static_cast<int64_t>(hn::Lanes(Floats()));
  int64_t column = 0;
  for (; column + 2 * L <= stride; column += 2 * L)
    multiply_tile<R, 2, kAdd>(left, depth, right + column, out + column, stride);
  for (; column < stride; column += L)
    multiply_tile<R, 1, kAdd>(left, depth, right + column, out + column, stride);
}

// out (rows, stride) = or += left (rows, depth) right (depth, stride). stride: whole vectors.
template <bool kAdd>
void multiply(Left left, int64_t rows, int64_t depth, const float* right, float* out,
              int64_t stride) {
  int64_t row = 0;
  for (; row + 6 <= rows; row += 6)
    multiply_rows<6, kAdd>(left.from_row(row), depth, right, out + row * stride, stride);
  for (; row + 3 <= rows; row += 3)
    multiply_rows<3, kAdd>(left.from_row(row), depth, right, out + row * stride, stride);
  for (; row < rows; ++row)
    multiply_rows<1, kAdd>(left.from_row(row), depth, right, out + row * stride, stride);
}

// Rows [begin, begin + count) of a head: (count, padded E), zeros behind E.
template <class T>
HWY_INLINE void load_rows(const kernels::AttentionHead& head, const void* in, int64_t stride,
                          int64_t begin, int64_t count, float factor, float* out) {
  const int64_t E = head.head_dim, width = padded(E);
  for (int64_t i = 0; i < count; ++i) {
    const T* row = static_cast<const T*>(in) + head.rows[begin + i] * stride;
    float* to = out + i * width;
    for_each_vector(E, [&](auto lanes, size_t e) HWY_ATTR {
      WholeVector().store(hn::Mul(lanes.load(row + e), set(factor)), to + e);
    });
    for (int64_t e = E; e < width; ++e) to[e] = 0;
  }
}

// (count, padded E) -> (E, padded count)
HWY_INLINE void transpose(const float* in, int64_t count, int64_t E, float* out) {
  const int64_t width = padded(E), columns = padded(count);
  for (int64_t e = 0; e < E; ++e) {
    for (int64_t i = 0; i < count; ++i) out[e * columns + i] = in[i * width + e];
    for (int64_t i = count; i < columns; ++i) out[e * columns + i] = 0;
  }
}

// The logits of a block of queries; `slopes`, where asked for, takes the derivative of the soft
// cap.
HWY_INLINE void logits_of(const kernels::AttentionHead& head, const float* queries, int64_t count,
                          const float* keys_transposed, float* logits, float* slopes) {
  const int64_t S = head.count, E = head.head_dim, columns = padded(S);
  multiply<false>({queries, padded(E), 1}, count, E, keys_transposed, logits, columns);
  if (head.logit_softcap != 0) {
    const Vector cap = set(head.logit_softcap), inverse = set(1 / head.logit_softcap);
    for_each_vector(count * columns, [&](auto lanes, size_t i) HWY_ATTR {
      const Vector tanh = hn::Tanh(Floats(), hn::Mul(lanes.load(logits + i), inverse));
      lanes.store(hn::Mul(tanh, cap), logits + i);
      if (slopes != nullptr) lanes.store(hn::NegMulAdd(tanh, tanh, set(1)), slopes + i);
    });
  }
  if (head.key_bias != nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < S; ++j) logits[i * columns + j] += head.key_bias[head.rows[j]];
    }
  }
}

HWY_INLINE float largest_of(const float* logits, int64_t S) {
  const auto L = static_cast<int64_t>(hn::Lanes(Floats()));
  Vector most = set(-std::numeric_limits<float>::infinity());
  int64_t j = 0;
  for (; j + L <= S; j += L) most = hn::Max(most, hn::LoadU(Floats(), logits + j));
  float largest = hn::GetLane(hn::MaxOfLanes(Floats(), most));
  for (; j < S; ++j) largest = std::max(largest, logits[j]);
  return largest;
}

// exp(logits - shift), zeros behind S. Returns their sum.
HWY_INLINE float exponentials(float* logits, int64_t S, float shift) {
  const float sum = sum_over(S, [&](auto lanes, size_t j, Vector part) HWY_ATTR {
    const Vector p = exponential(hn::Sub(lanes.load(logits + j), set(shift)));
    lanes.store(p, logits + j);
    return hn::Add(part, lanes.load(logits + j));  // masked lanes load as zero
  });
  for (int64_t j = S; j < padded(S); ++j) logits[j] = 0;
  return sum;
}

template <class T>
void forward(const kernels::AttentionHead& head, float* scratch) {
  const int64_t S = head.count, E = head.head_dim, width = padded(E), columns = padded(S);
  float* values = scratch;                     // (S, width)
  float* keys = values + S * width;            // (E, columns)
  float* queries = keys + E * columns;         // (kQueries, width)
  float* logits = queries + kQueries * width;  // (kQueries, columns)
  float* mixed = logits + kQueries * columns;  // (kQueries, width)
  load_rows<T>(head, head.k, head.k_stride, 0, S, 1, values);
  transpose(values, S, E, keys);
  load_rows<T>(head, head.v, head.v_stride, 0, S, 1, values);
  for (int64_t begin = 0; begin < S; begin += kQueries) {
    const int64_t count = std::min(kQueries, S - begin);
    load_rows<T>(head, head.q, head.q_stride, begin, count, head.scale, queries);
    logits_of(head, queries, count, keys, logits, nullptr);
    float inverse_sums[kQueries];
    for (int64_t i = 0; i < count; ++i) {
      float* row = logits + i * columns;
      const float largest = largest_of(row, S);
      const float sum = exponentials(row, S, largest);
      head.log_sum_exp[head.rows[begin + i] * head.lse_stride] = largest + std::log(sum);
      inverse_sums[i] = 1 / sum;
    }
    multiply<false>({logits, columns, 1}, count, S, values, mixed, width);
    for (int64_t i = 0; i < count; ++i) {
      T* to = static_cast<T*>(head.out) + head.rows[begin + i] * head.out_stride;
      for_each_vector(E, [&](auto lanes, size_t e) HWY_ATTR {
        const Vector sum = WholeVector().load(mixed + i * width + e);
        lanes.store(hn::Mul(sum, set(inverse_sums[i])), to + e);
      });
    }
  }
}

// With P the probabilities, dP = dO V^T and D the row sums of dO * O:
//   dS = P (dP - D),  dQ = dS K scale,  dK = dS^T Q scale,  dV = P^T dO.
template <class T>
void backward(const kernels::AttentionHead& head, const kernels::AttentionGradients& gradients,
              float* scratch) {
  const int64_t S = head.count, E = head.head_dim, width = padded(E), columns = padded(S);
  float* key_rows = scratch;                             // (S, width)
  float* keys = key_rows + S * width;                    // (E, columns)
  float* values = keys + E * columns;                    // (E, columns)
  float* queries = values + E * columns;                 // (kQueries, width), scaled
  float* d_out_rows = queries + kQueries * width;        // (kQueries, width)
  float* d_queries = d_out_rows + kQueries * width;      // (kQueries, width)
  float* probabilities = d_queries + kQueries * width;   // (kQueries, columns)
  float* d_logits = probabilities + kQueries * columns;  // (kQueries, columns)
  float* slopes = d_logits + kQueries * columns;         // (kQueries, columns)
  load_rows<T>(head, head.v, head.v_stride, 0, S, 1, key_rows);
  transpose(key_rows, S, E, values);
  load_rows<T>(head, head.k, head.k_stride, 0, S, 1, key_rows);
  transpose(key_rows, S, E, keys);
  for (int64_t begin = 0; begin < S; begin += kQueries) {
    const int64_t count = std::min(kQueries, S - begin);
    load_rows<T>(head, head.q, head.q_stride, begin, count, head.scale, queries);
    load_rows<T>(head, gradients.d_out, head.out_stride, begin, count, 1, d_out_rows);
    logits_of(head, queries, count, keys, probabilities, slopes);
    multiply<false>({d_out_rows, width, 1}, count, E, values, d_logits, columns);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = head.rows[begin + i];
      float *p = probabilities + i * columns, *d = d_logits + i * columns;
      const float *slope = slopes + i * columns, *d_out = d_out_rows + i * width;
      exponentials(p, S, head.log_sum_exp[row * head.lse_stride]);
      const T* out = static_cast<const T*>(head.out) + row * head.out_stride;
      const float inner = sum_over(E, [&](auto lanes, size_t e, Vector sum) HWY_ATTR {
        return hn::MulAdd(lanes.load(d_out + e), lanes.load(out + e), sum);
      });
      for_each_vector(columns, [&](auto lanes, size_t j) HWY_ATTR {
        Vector gradient = hn::Mul(lanes.load(p + j), hn::Sub(lanes.load(d + j), set(inner)));
        if (head.logit_softcap != 0) gradient = hn::Mul(gradient, lanes.load(slope + j));
        lanes.store(gradient, d + j);
      });
    }
    multiply<false>({d_logits, columns, 1}, count, S, key_rows, d_queries, width);
    for (int64_t i = 0; i < count; ++i) {
      T* to = static_cast<T*>(gradients.d_q) + head.rows[begin + i] * gradients.d_q_stride;
      for_each_vector(E, [&](auto lanes, size_t e) HWY_ATTR {
        const Vector sum = WholeVector().load(d_queries + i * width + e);
        lanes.store(hn::Mul(sum, set(head.scale)), to + e);
      });
    }
    // The queries carry the scale.
    multiply<true>({d_logits, 1, columns}, S, count, queries, gradients.d_k, width);
    multiply<true>({probabilities, 1, columns}, S, count, d_out_rows, gradients.d_v, width);
  }
}

template <class T>
void store_rows(const kernels::AttentionHead& head, const float* gradient, void* out,
                int64_t stride) {
  const int64_t width = padded(head.head_dim);
  for (int64_t i = 0; i < head.count; ++i) {
    T* to = static_cast<T*>(out) + head.rows[i] * stride;
    for_each_vector(head.head_dim, [&](auto lanes, size_t e) HWY_ATTR {
      lanes.store(WholeVector().load(gradient + i * width + e), to + e);
    });
  }
}

}  // namespace

void attention_forward(const kernels::AttentionHead& head, float* scratch) {
  head.element == kernels::Element::kFloat ? forward<float>(head, scratch)
                                           : forward<c10::BFloat16>(head, scratch);
}

void attention_backward(const kernels::AttentionHead& head,
                        const kernels::AttentionGradients& gradients, float* scratch) {
  head.element == kernels::Element::kFloat ? backward<float>(head, gradients, scratch)
                                           : backward<c10::BFloat16>(head, gradients, scratch);
}

void attention_store(const kernels::AttentionHead& head, const float* gradient, void* out,
                     int64_t stride) {
  head.element == kernels::Element::kFloat ? store_rows<float>(head, gradient, out, stride)
                                           : store_rows<c10::BFloat16>(head, gradient, out, stride);
}

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(attention_forward);
HWY_EXPORT(attention_backward);
HWY_EXPORT(attention_store);

namespace kernels {

int64_t attention_width(int64_t head_dim) { return padded(head_dim); }

int64_t attention_forward_scratch(int64_t count, int64_t head_dim) {
  return (count + 2 * kQueries) * padded(head_dim) + (head_dim + kQueries) * padded(count);
}

int64_t attention_backward_scratch(int64_t count, int64_t head_dim) {
  return (count + 3 * kQueries) * padded(head_dim) + (2 * head_dim + 3 * kQueries) * padded(count);
}

void attention_forward_cpu(const AttentionHead& head, float* scratch) {
  HWY_DYNAMIC_DISPATCH(attention_forward)(head, scratch);
}

void attention_backward_cpu(const AttentionHead& head, const AttentionGradients& gradients,
                            float* scratch) {
  HWY_DYNAMIC_DISPATCH(attention_backward)(head, gradients, scratch);
}

void attention_store_cpu(const AttentionHead& head, const float* gradient, void* out,
                         int64_t stride) {
  HWY_DYNAMIC_DISPATCH(attention_store)(head, gradient, out, stride);
}

}  // namespace kernels
}  // namespace i1
#endif
