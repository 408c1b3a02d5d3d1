// The one place that chooses between the plain twins, the CPU kernels and the CUDA kernels.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include "i1/kernels/launch.h"

namespace i1::kernels {

enum class Backend { kReference, kCpu, kCuda };

/// What runs an operation on x: our kernels for float32 and bfloat16 on a CPU, or on a GPU when
/// this program was built with its CUDA kernels; the plain twin for everything else (float64).
Backend backend_of(const at::Tensor& x);

Element element_of(const at::Tensor& x);

/// The current CUDA stream of x's device.
Stream stream_of(const at::Tensor& x);

/// x as rows whose last dimensions are contiguous: x itself where its strides allow, else a copy.
/// (..., columns) -> (rows, columns)
at::Tensor as_rows(const at::Tensor& x, int64_t columns);

/// Runs kernel(begin, end) over pieces of [0, count), on all threads; one piece costs about `work`
/// element operations an item, which decides how many items a thread takes at least.
template <class Kernel>
void parallel(int64_t count, int64_t work, const Kernel& kernel) {
  constexpr int64_t kWorthAThread = 1 << 14;
  at::parallel_for(0, count, std::max<int64_t>(1, kWorthAThread / std::max<int64_t>(1, work)),
                   kernel);
}

}  // namespace i1::kernels
