// The seam between the program and its CUDA kernels. One of two files implements it and is chosen
// by the build: cuda_stream.cpp beside the compiled kernels, or cuda_absent.cpp, which stands for
// all of them.
#pragma once

#include "i1/kernels/launch.h"

namespace i1::kernels {

bool has_cuda_kernels();

/// LibTorch's current stream of a CUDA device.
Stream current_cuda_stream(int device);

}  // namespace i1::kernels
