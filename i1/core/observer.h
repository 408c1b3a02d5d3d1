#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace i1 {

/// Receives the named intermediates of a forward pass, for golden tests and for finding where
/// values go wrong. A null observer costs nothing: forward functions call `observe`, which tests
/// the pointer.
using Observer = std::function<void(const std::string& stage, const at::Tensor& value)>;

inline void observe(const Observer* observer, const std::string& stage, const at::Tensor& value) {
  if (observer != nullptr) (*observer)(stage, value);
}

}  // namespace i1
