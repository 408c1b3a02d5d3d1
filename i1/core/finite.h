// Where values are no longer finite: the first stage of a forward pass, the first of its weights.
#pragma once

#include <functional>
#include <string>

#include "i1/core/fields.h"
#include "i1/core/observer.h"

namespace i1 {

/// How many values are NaN or infinite; none of whole numbers and of an undefined tensor.
int64_t count_not_finite(const at::Tensor& values);

/// The first tensor of several, in the order they are seen, with a value that is not finite.
struct FirstNotFinite {
  std::string name;  ///< empty: none
  int64_t count = 0, num_values = 0;

  bool is_found() const { return !name.empty(); }
  void see(const std::string& name, const at::Tensor& values);
  /// "NAME (COUNT of NUM_VALUES values)".
  std::string text() const;
};

/// The first tensor of `net`, in the order of its fields. `is_skipped` names those not to look at.
template <HasFields Net>
FirstNotFinite first_weight_not_finite(
    Net net, const std::function<bool(const std::string&)>& is_skipped = nullptr) {
  FirstNotFinite first;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
    if (!is_skipped || !is_skipped(key)) first.see(key, tensor);
  });
  return first;
}

}  // namespace i1
