#include "i1/kernels/dispatch.h"

#include "i1/kernels/cuda_stream.h"

namespace i1::kernels {

Backend backend_of(const at::Tensor& x) {
  const at::ScalarType dtype = x.scalar_type();
  if (dtype != at::kFloat && dtype != at::kBFloat16) return Backend::kReference;
  if (x.is_cpu()) return Backend::kCpu;
  return x.is_cuda() && has_cuda_kernels() ? Backend::kCuda : Backend::kReference;
}

Element element_of(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat ? Element::kFloat : Element::kBfloat16;
}

Stream stream_of(const at::Tensor& x) { return current_cuda_stream(x.device().index()); }

at::Tensor as_rows(const at::Tensor& x, int64_t columns) {
  const at::Tensor rows = x.dim() == 2 ? x : x.reshape({-1, columns});
  return rows.stride(1) == 1 || columns == 1 ? rows : rows.contiguous();
}

}  // namespace i1::kernels
