#include "i1/kernels/column_sum.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>

#include "i1/kernels/dispatch.h"

namespace i1 {

at::Tensor reference::column_sum(const at::Tensor& x, at::ScalarType dtype) {
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::sum(x.to(wide), {0}).to(dtype);
}

at::Tensor column_sum(const at::Tensor& x, at::ScalarType dtype) {
  using namespace kernels;
  const Backend backend = backend_of(x);
  if (backend == Backend::kReference) return reference::column_sum(x, dtype);
  const at::Tensor sums = at::empty({x.size(1)}, x.options().dtype(dtype));
  const ColumnSum sum{.x = x.const_data_ptr(),
                      .row_stride = x.stride(0),
                      .rows = x.size(0),
                      .columns = x.size(1),
                      .sums = sums.mutable_data_ptr(),
                      .element = element_of(x),
                      .sums_element = element_of(sums)};
  if (backend == Backend::kCuda) {
    column_sum_cuda(sum, stream_of(x));
  } else {
    const int64_t num_tasks = (x.size(1) + kColumnsPerTask - 1) / kColumnsPerTask;
    parallel(num_tasks, kColumnsPerTask * x.size(0), [&](int64_t begin, int64_t end) {
      column_sum_cpu(sum, begin * kColumnsPerTask, std::min(end * kColumnsPerTask, x.size(1)));
    });
  }
  return sums;
}

}  // namespace i1
