// Launch functions of attention: plain pointers and strides, no tensors.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

/// One head of one sample: `count` rows, given by their numbers in the packed buffer. Element e of
/// row r of q lies at q[r * stride + e]; all offsets of the head are in the pointers already.
struct AttentionHead {
  const int32_t* rows;
  int64_t count;     ///< S
  int64_t head_dim;  ///< E
  const void *q, *k, *v;
  void* out;  ///< the backward pass reads it
  int64_t q_stride, k_stride, v_stride, out_stride;
  float scale;
  float logit_softcap;    ///< 0 = none
  const float* key_bias;  ///< by row of the buffer; null = none
  float* log_sum_exp;     ///< by row of the buffer, lse_stride apart; the backward pass reads it
  int64_t lse_stride;
  Element element;  ///< of q, k, v, out and of the gradients
};

struct AttentionGradients {
  const void* d_out;  ///< rows as those of out
  void* d_q;
  int64_t d_q_stride;
  /// (count, attention_width(head_dim)), zeroed by the caller and added to: grouped query heads
  /// share them.
  float *d_k, *d_v;
};

/// Floats between two rows of a head's scratch.
int64_t attention_width(int64_t head_dim);

/// Floats of scratch that a head needs.
int64_t attention_forward_scratch(int64_t count, int64_t head_dim);
int64_t attention_backward_scratch(int64_t count, int64_t head_dim);

void attention_forward_cpu(const AttentionHead& head, float* scratch);
void attention_backward_cpu(const AttentionHead& head, const AttentionGradients& gradients,
                            float* scratch);

/// What attention_forward_avx512_bf16 needs of the processor.
bool has_avx512_bf16();

/// Bytes of scratch of the two below.
int64_t attention_bf16_scratch(int64_t count, int64_t head_dim);

/// The forward pass for bfloat16 without soft cap and key_bias, with a scale above 0: weights of
/// the values are rounded to bfloat16 as well, and log_sum_exp is not written.
void attention_forward_amx(const AttentionHead& head, void* scratch);
void attention_forward_avx512_bf16(const AttentionHead& head, void* scratch);

/// Rows of d_k or d_v from float32 to where they belong, `stride` apart.
void attention_store_cpu(const AttentionHead& head, const float* gradient, void* out,
                         int64_t stride);

}  // namespace i1::kernels
