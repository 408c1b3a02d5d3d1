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

/// Whether `linear_by_tiles` takes such factors: bfloat16 on a CPU with AMX, rows contiguous.
bool is_multiplied_by_tiles(const at::Tensor& x, const at::Tensor& weight);

/// y = x W^T + b without a gradient, for factors that is_multiplied_by_tiles. x: (N, in), y: (N,
/// out). Weights are read as they lie, where oneDNN packs them at every call.
void linear_by_tiles(const at::Tensor& x, const at::Tensor& weight,
                     const std::optional<at::Tensor>& bias, at::Tensor& y);

/// Runs `product`, which makes (num_rows, num_columns) of x's dtype, on one thread where MKL would
/// sum in another order on several.
void in_fixed_order(const at::Tensor& x, int64_t num_rows, int64_t num_columns,
                    const std::function<void()>& product);

/// x: (N, in) with rows of zeros appended where MKL multiplies it and would treat so few rows in a
/// way of their own, else x.
at::Tensor with_enough_rows(const at::Tensor& x);

}  // namespace i1
