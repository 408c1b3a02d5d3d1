#include "i1/core/compute_dtype.h"

#include <cpuinfo.h>

#include "i1/core/error.h"

namespace i1 {

at::ScalarType choose_compute_dtype(const std::string& wanted, at::Device device,
                                    std::string& why) {
  if (wanted == "float32" || wanted == "bfloat16") {
    why = "as asked";
    return wanted == "float32" ? at::kFloat : at::kBFloat16;
  }
  check_user(wanted == "auto" || wanted.empty(), "compute dtype \"", wanted,
             "\": expected float32, bfloat16 or auto; for pictures also int8");
  if (device.is_cuda()) {
    why = "the GPU multiplies it natively";
    return at::kBFloat16;
  }
  if (cpuinfo_initialize() && cpuinfo_has_x86_avx512bf16()) {
    why = "the CPU multiplies it natively (AVX-512 BF16)";
    return at::kBFloat16;
  }
  why = "the CPU does not multiply bfloat16 natively";
  return at::kFloat;
}

std::string Precision::name() const {
  if (has_int8_weights) return "int8";
  return dtype == at::kFloat ? "float32" : "bfloat16";
}

Precision choose_precision(const std::string& wanted, at::Device device, std::string& why) {
  if (wanted == "int8") {
    const at::ScalarType dtype = choose_compute_dtype("auto", device, why);
    why = concat("as asked; the rest in ", Precision(dtype).name());
    return {dtype, true};
  }
  return choose_compute_dtype(wanted, device, why);
}

}  // namespace i1
