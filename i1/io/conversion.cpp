#include "i1/io/conversion.h"

#include <ATen/ops/aminmax.h>

#include <algorithm>
#include <cmath>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/progress.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

bool is_inside(const fs::path& path, const fs::path& folder) {
  const auto [end, unused] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

}  // namespace

bool is_weights_name(const std::string& name) {
  return name.starts_with(kWeightsStem) &&
         (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"));
}

StoredTensor checked_values(const StoredTensor& source, const std::string& where, double largest) {
  StoredTensor tensor = source;
  tensor.read = [read = source.read, where, largest] {
    check_interrupt();
    at::Tensor values = read();
    if (values.numel() == 0) return values;
    const auto [low, high] = at::aminmax(values);  // NaN where there is one
    const double extreme = std::max(-low.item<double>(), high.item<double>());
    const bool is_nan = std::isnan(low.item<double>()) || std::isnan(high.item<double>());
    check_user(!is_nan && std::isfinite(extreme), where, " holds ",
               is_nan ? "a value that is not a number" : "an infinite value",
               "; the source is damaged or its training diverged");
    check_user(extreme <= largest, where, " holds ", extreme, ", expected at most ", largest,
               " in this type; choose bfloat16 or float32");
    return values;
  };
  return tensor;
}

StoredTensor as_dtype(const StoredTensor& source, at::ScalarType dtype) {
  return {{dtype, source.info.shape}, [read = source.read, dtype] { return read().to(dtype); }};
}

void check_places(const fs::path& source, const fs::path& target, bool is_folder) {
  const fs::path to = fs::weakly_canonical(target);
  fs::path from = fs::weakly_canonical(source);
  if (from.string().ends_with(".index.json")) from = from.parent_path();  // and its shards
  check_user(from != to, target.string(), ": is the source; name another target");
  check_user(!is_inside(to, from), target.string(), ": lies in the source ", source.string(),
             "; name a target elsewhere");
  check_user(!is_folder || !is_inside(from, to), target.string(), ": holds the source ",
             source.string(), " and would be replaced; name another folder");
}

void check_space(const fs::path& target, uint64_t num_bytes) {
  std::error_code error;
  const fs::path folder = fs::absolute(target).parent_path();
  const fs::space_info space = fs::space(folder, error);
  if (error) return;  // what writes there says why
  check_machine(space.available >= num_bytes, target.string(),
                ": No space left on device: ", static_cast<double>(num_bytes) / 1e9,
                " GB are needed, ", static_cast<double>(space.available) / 1e9, " GB are free");
}

TensorWritten conversion_progress(uint64_t num_bytes) {
  constexpr uint64_t kMegabyte = 1'000'000;
  const auto progress =
      std::make_shared<Progress>("converting", static_cast<int64_t>(num_bytes / kMegabyte), "MB");
  return [progress, num_done = uint64_t{0}](uint64_t num_written) mutable {
    num_done += num_written;
    progress->update(static_cast<int64_t>(num_done / kMegabyte));
    MappedFile::forget_pages();
    check_interrupt();
  };
}

}  // namespace i1
