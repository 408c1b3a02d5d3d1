#include "i1/core/finite.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>

#include "i1/core/error.h"

namespace i1 {

int64_t count_not_finite(const at::Tensor& values) {
  if (!values.defined() || !values.is_floating_point()) return 0;
  const at::NoGradGuard no_grad;
  return values.numel() - at::isfinite(values).sum().item<int64_t>();
}

void FirstNotFinite::see(const std::string& seen, const at::Tensor& values) {
  if (is_found()) return;
  count = count_not_finite(values);
  if (count == 0) return;
  name = seen;
  num_values = values.numel();
}

std::string FirstNotFinite::text() const {
  return concat(name, " (", count, " of ", num_values, " values)");
}

}  // namespace i1
