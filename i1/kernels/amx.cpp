#include "i1/kernels/amx.h"

#if I1_HAS_AMX

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "i1/kernels/attention_kernels.h"
#include "i1/kernels/int8_linear_kernels.h"

namespace i1::kernels {
namespace {

bool has_instructions() {
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kAmxInt8 = 1u << 25;
  constexpr unsigned kAll = kAmxBf16 | kAmxTile | kAmxInt8;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAll) == kAll;
}

bool may_use_tiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool has_amx() {
  static const bool has_it =
      has_instructions() && has_vnni() && has_avx512_bf16() && may_use_tiles();
  return has_it;
}

}  // namespace i1::kernels

#else

bool i1::kernels::has_amx() { return false; }

#endif
