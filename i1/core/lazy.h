#pragma once

#include <functional>
#include <optional>
#include <utility>

namespace i1 {

/// A value that is there, or that is loaded when it is first used and can be let go again. Copies
/// of one that is not loaded load each their own.
template <class T>
class Lazy {
 public:
  Lazy(T value) : value_(std::move(value)) {}
  Lazy(std::function<T()> load) : load_(std::move(load)) {}

  /// Throws what loading throws.
  const T& get() const {
    if (!value_) value_ = load_();
    return *value_;
  }
  const T* operator->() const { return &get(); }

  bool is_loaded() const { return value_.has_value(); }

  /// Frees a value that can be loaded again; the next use does. Others stay.
  void release() const {
    if (load_) value_.reset();
  }

 private:
  std::function<T()> load_;
  mutable std::optional<T> value_;
};

}  // namespace i1
