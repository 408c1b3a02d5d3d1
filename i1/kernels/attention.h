#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace i1 {

/// The rows of one sample in a packed buffer: up to two runs, because the buffer holds the image
/// tokens of all samples first and the text tokens of all samples after them.
struct Segment {
  int64_t image_begin = 0, image_count = 0;
  int64_t text_begin = 0, text_count = 0;
};

struct AttentionOptions {
  double scale = 0;  ///< multiplies the logits; 0 = 1 / sqrt(E)
  double logit_softcap =
      0;  ///< c: logits become c * tanh(logits / c), before the key bias; 0 = none
};

/// Softmax attention within each sample of a packed batch; rows of different samples never meet.
///
/// q: (N, H, E), k, v: (N, G, E) with H a multiple of G (grouped heads: query head h reads key head
/// h / (H / G)). float32 or bfloat16, last dimension contiguous; rows may be apart. Softmax in
/// float32. segments: one entry a sample; rows in no segment get zeros. key_bias: (N) float32 added
/// to the logits of that key in every head (log of how many equal keys it stands for); undefined =
/// none; not differentiated. Where the processor multiplies bfloat16 and nothing is to be
/// differentiated, biased or capped, bfloat16 is multiplied as it is and the softmax's weights are
/// rounded to it, else all is float32. Returns (N, H, E), contiguous, of q's dtype. Differentiable
/// in q, k, v.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<Segment>& segments, const at::Tensor& key_bias = {},
                     const AttentionOptions& options = {});

namespace reference {
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<Segment>& segments, const at::Tensor& key_bias = {},
                     const AttentionOptions& options = {});
}  // namespace reference

}  // namespace i1
