#include "i1/model/int8.h"

#include "i1/io/row_scales.h"

namespace i1 {
namespace {

// Calls visit(layer) for every linear layer below `object`.
template <class T, class Visit>
void for_each_linear(T& object, const Visit& visit) {
  if constexpr (std::same_as<T, Linear>) {
    visit(object);
  } else if constexpr (is_optional<T>) {
    if (object) for_each_linear(*object, visit);
  } else if constexpr (HasFields<T>) {
    T::fields(object, [&](const char*, auto& member) { for_each_linear(member, visit); });
  } else if constexpr (!std::same_as<T, at::Tensor>) {
    for (auto& member : object) for_each_linear(member, visit);
  }
}

void quantize(Linear& layer) {
  if (layer.row_scale) return;
  const auto [values, scale] = quantize_rows(layer.weight.to(at::kFloat));
  layer.weight = values;
  layer.row_scale = scale;
}

}  // namespace

void quantize_blocks(DualStream& model) {
  for_each_linear(model.in_blocks, quantize);
  for_each_linear(model.mid_block, quantize);
  for_each_linear(model.out_blocks, quantize);
  for_each_linear(model.blocks, quantize);
}

bool is_block_matrix(const std::string& key) {
  const bool is_in_block = key.starts_with("in_blocks.") || key.starts_with("mid_block.") ||
                           key.starts_with("out_blocks.") || key.starts_with("blocks.");
  return is_in_block && key.ends_with(".weight");
}

}  // namespace i1
