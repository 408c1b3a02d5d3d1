#include "i1/model/int8.h"

#include "i1/kernels/int8_linear.h"

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
  if (layer.weight.is_meta()) {
    const at::Tensor values = layer.weight.to(at::kChar);
    layer.row_scale = make_tensor({values.size(0)});
    layer.weight = pack_int8(values);
    return;
  }
  const Int8Rows rows = quantize_to_int8(layer.weight, layer.weight.size(1));
  layer.weight = pack_int8(rows.values);
  layer.row_scale = rows.scale.squeeze(1);
}

}  // namespace

void quantize_blocks(DualStream& model) {
  for_each_linear(model.in_blocks, quantize);
  for_each_linear(model.mid_block, quantize);
  for_each_linear(model.out_blocks, quantize);
  for_each_linear(model.blocks, quantize);
}

}  // namespace i1
