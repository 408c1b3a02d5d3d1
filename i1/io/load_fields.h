// From named tensors to a struct with a field list, with one message a mistake.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "i1/core/error.h"
#include "i1/core/fields.h"
#include "i1/core/nearest.h"
#include "i1/io/safetensors.h"

namespace i1 {

/// Fills every tensor of `object` from `tensors[prefix + key]`. `object` comes with tensors of the
/// expected shapes (on the meta device they take no memory); they are replaced by the stored ones,
/// whose dtype stays. Throws UserError for a missing key (naming the nearest of those present), for
/// a shape that differs, and, where `allow_others` is false, for keys below `prefix` that `object`
/// does not have.
template <HasFields T>
void load_fields(T& object, const std::string& prefix, const TensorMap& tensors,
                 const std::string& where, bool allow_others = false) {
  std::vector<std::string> present, used;
  for (const auto& [key, tensor] : tensors) {
    if (key.starts_with(prefix)) present.push_back(key);
  }
  for_each_tensor(object, "", [&](const std::string& name, at::Tensor& tensor) {
    const std::string key = prefix + name;
    const auto found = tensors.find(key);
    check_user(found != tensors.end(), where, ": no tensor \"", key, "\"; nearest: \"",
               nearest(key, present), "\"");
    check_user(found->second.sizes() == tensor.sizes(), where, ": tensor \"", key, "\" has shape ",
               found->second.sizes(), ", expected ", tensor.sizes());
    tensor = found->second;
    used.push_back(key);
  });
  if (allow_others) return;
  std::sort(used.begin(), used.end());
  for (const std::string& key : present) {
    check_user(std::binary_search(used.begin(), used.end(), key), where, ": unexpected tensor \"",
               key, "\"; nearest: \"", nearest(key, used), "\"");
  }
}

}  // namespace i1
