// AMX, the matrix registers of x86 processors since Sapphire Rapids.
#pragma once

#include <hwy/detect_targets.h>

#if HWY_ARCH_X86 && defined(__linux__)
#define I1_HAS_AMX 1
#else
#define I1_HAS_AMX 0
#endif

namespace i1::kernels {

/// Whether this processor multiplies tiles of int8 and bfloat16, and the system lets us: the kernel
/// saves the large registers for those processes alone that ask.
bool has_amx();

}  // namespace i1::kernels
