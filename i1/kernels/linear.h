#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>

namespace i1 {

/// y = x W^T + b. x: (..., in), weight: (out, in) and bias: (out) or none, of x's dtype.
/// Differentiable. A row's result depends on that row alone: neither the other rows nor the number
/// of threads move a bit, provided that rows begin at multiples of 64 bytes (docs/traps.md).
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias = {});

/// y = x W^T + b without a gradient, for factors in bfloat16 whose product the library's would make
/// slower or dependent on the number of rows: by tiles on a CPU with AMX, in float32 where these do
/// not take the depth or the CPU has no products of bfloat16. x: (N, in), y: (N, out). Returns
/// false, and has done nothing, for all others.
bool linear_by_own(const at::Tensor& x, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias, at::Tensor& y);

/// Runs `product`, which makes (num_rows, num_columns) of x's dtype, on one thread where MKL would
/// sum in another order on several.
void in_fixed_order(const at::Tensor& x, int64_t num_rows, int64_t num_columns,
                    const std::function<void()>& product);

/// x: (N, in) with rows of zeros appended where MKL multiplies it and would treat so few rows in a
/// way of their own, else x.
at::Tensor with_enough_rows(const at::Tensor& x);

}  // namespace i1
