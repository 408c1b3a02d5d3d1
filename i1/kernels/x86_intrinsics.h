// <immintrin.h> without the warnings that GCC gives of it (GCC bug 105593).
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <hwy/detect_targets.h>

#if HWY_ARCH_X86
#include <immintrin.h>
#endif
