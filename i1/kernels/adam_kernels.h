// Launch functions of adam: plain pointers and sizes, no tensors.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

/// One parameter; null pointers leave their part out.
struct AdamTensor {
  float* weight;
  const void* gradient;  ///< null = zero
  void* mu;              ///< null = frozen: weight and nu stay
  float *nu, *ema;
  void* compute_weight;  ///< bfloat16
  int64_t count;
  Element gradient_element, mu_element;
};

struct AdamFactors {
  float gradient_scale, beta1, beta2;
  float mu_correction, nu_correction;  ///< 1 / (1 - beta^step)
  float eps, learning_rate;
  float ema_share;  ///< 1 - ema_decay: how much of the weight enters the average
};

/// Sums of squares of one chunk: update, weight, ema.
struct AdamSums {
  double update, weight, ema;
};

/// Elements are worked on in chunks; the sums of the chunks are added in order.
constexpr int64_t kAdamChunk = 1 << 14;

constexpr int64_t num_chunks(int64_t count) { return (count + kAdamChunk - 1) / kAdamChunk; }

/// One chunk of a parameter.
AdamSums adam_cpu(const AdamTensor& tensor, const AdamFactors& factors, int64_t chunk);
/// All chunks of a parameter; sums: (num_chunks(count)) in device memory.
void adam_cuda(const AdamTensor& tensor, const AdamFactors& factors, AdamSums* sums, Stream stream);

/// The sum of the squares of one chunk of x.
double sum_of_squares_cpu(const void* x, Element element, int64_t count, int64_t chunk);
/// Of all chunks; sums: (num_chunks(count)) in device memory.
void sum_of_squares_cuda(const void* x, Element element, int64_t count, double* sums,
                         Stream stream);

}  // namespace i1::kernels
