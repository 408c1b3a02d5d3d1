#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "i1/kernels/attention.h"

namespace i1::reference {

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const std::vector<Segment>& segments, const at::Tensor& key_bias,
                     const AttentionOptions& options) {
  const double scale =
      options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(2)));
  const at::ScalarType wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor out = at::zeros({q.size(0), q.size(1), q.size(2)}, q.options());  // (N, H, E)
  for (const Segment& segment : segments) {
    const at::Tensor rows =
        at::cat({at::arange(segment.image_begin, segment.image_begin + segment.image_count,
                            q.options().dtype(at::kLong)),
                 at::arange(segment.text_begin, segment.text_begin + segment.text_count,
                            q.options().dtype(at::kLong))});
    const auto heads_first = [&](const at::Tensor& x) {
      return x.index_select(0, rows)
          .to(wide)
          .repeat_interleave(q.size(1) / x.size(1), 1)
          .transpose(0, 1);
    };
    at::Tensor logits =
        at::matmul(heads_first(q), heads_first(k).transpose(1, 2)) * scale;  // (H, S, S)
    if (options.logit_softcap != 0)
      logits = at::tanh(logits / options.logit_softcap) * options.logit_softcap;
    if (key_bias.defined()) logits = logits + key_bias.index_select(0, rows);
    const at::Tensor mixed = at::matmul(at::softmax(logits, -1), heads_first(v));  // (H, S, E)
    out = out.index_add(0, rows, mixed.transpose(0, 1).to(q.scalar_type()));
  }
  return out;
}

}  // namespace i1::reference
