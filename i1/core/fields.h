// One field list per struct.
//
// A struct names its members once, in `fields`. Whatever walks parameters (load, save, initialise,
// move, optimise, average) or options (override, print, store, compare) is written once, over that
// list: a new member is one new line.
#pragma once

#include <ATen/core/Tensor.h>

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace i1 {

template <class T>
concept HasFields = requires(T& object) {
  T::fields(object, [](const char*, auto&) {});
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Calls `visit(key, tensor)` for every tensor below `object`, depth first, in declaration order.
/// Names are joined by dots and list entries are numbered ("in_blocks.3.mlp_image.w12.weight"):
/// they are the keys of the checkpoint. Undefined tensors are visited too, empty optionals are not.
template <class T, class Visit>
void for_each_tensor(T& object, const std::string& prefix, Visit&& visit) {
  using Type = std::remove_cvref_t<T>;
  const auto join = [&](const std::string& name) {
    return prefix.empty() ? name : name.empty() ? prefix : prefix + "." + name;
  };
  if constexpr (std::same_as<Type, at::Tensor>) {
    visit(prefix, object);
  } else if constexpr (is_optional<Type>) {
    if (object) for_each_tensor(*object, prefix, visit);
  } else if constexpr (HasFields<Type>) {
    Type::fields(object, [&](const char* name, auto& member) {
      for_each_tensor(member, join(name), visit);
    });
  } else {
    for (size_t i = 0; i < object.size(); ++i)
      for_each_tensor(object[i], join(std::to_string(i)), visit);
  }
}

/// Walks two structs of one type side by side (weights and their EMA, weights and gradients):
/// visit(key, a, b).
template <class T, class Visit>
void for_each_tensor_pair(T& first, T& second, Visit&& visit) {
  std::vector<at::Tensor*> others;
  for_each_tensor(second, "",
                  [&](const std::string&, at::Tensor& tensor) { others.push_back(&tensor); });
  size_t i = 0;
  for_each_tensor(first, "", [&](const std::string& key, at::Tensor& tensor) {
    visit(key, tensor, *others.at(i++));
  });
}

}  // namespace i1
