#include "i1/model/inference.h"

#include <set>

#include "i1/io/row_scales.h"
#include "i1/kernels/int8_linear.h"
#include "i1/model/int8.h"

namespace i1 {
namespace {

DualStream inference_shapes(const ModelConfig& config, Precision precision) {
  DualStream shapes = make_dual_stream(config);
  if (precision.has_int8_weights) quantize_blocks(shapes);
  return shapes;
}

// The weights that are int8 in a model of these shapes.
std::set<std::string> int8_keys(DualStream& shapes) {
  std::set<std::string> keys;
  for_each_tensor(shapes, "", [&](const std::string& key, at::Tensor&) {
    if (key.ends_with(kScaleSuffix)) keys.insert(key.substr(0, key.size() - kScaleSuffix.size()));
  });
  return keys;
}

at::ScalarType kept_type(const std::string& key, Precision precision) {
  return stays_float32(key) ? at::kFloat : precision.dtype;
}

// A weight's int8 values and its factor a row, as the file has them, or made here.
Int8Rows int8_rows(const OpenBackbone& backbone, const std::string& key,
                   const StoredTensor& stored) {
  const auto pair = backbone.int8_pairs.find(key);
  if (pair == backbone.int8_pairs.end()) {
    const auto [values, scale] = quantize_to_int8(stored.read(), stored.info.shape.at(1));
    return {values, scale.squeeze(1)};
  }
  return {pair->second.read(), backbone.int8_pairs.at(key + kScaleSuffix).read().to(at::kFloat)};
}

}  // namespace

BackboneMemory inference_memory(const OpenBackbone& backbone, Precision precision,
                                at::Device device) {
  DualStream shapes = inference_shapes(backbone.config, precision);
  const std::set<std::string> quantized = int8_keys(shapes);
  BackboneMemory memory;
  for (const auto& [key, stored] : backbone.tensors) {
    const bool is_int8 = quantized.contains(key);
    const at::ScalarType kept = is_int8 ? at::kChar : kept_type(key, precision);
    const bool is_view = device.is_cpu() && !is_int8 && stored.info.dtype == kept &&
                         stored.encoding.empty() && !backbone.int8_pairs.contains(key);
    const auto bytes = static_cast<int64_t>(count_bytes(stored.info.shape, kept, backbone.where));
    (is_view ? memory.mapped : memory.copied) += bytes;
  }
  return memory;
}

DualStream load_for_inference(const OpenBackbone& backbone, Precision precision,
                              at::Device device) {
  check_tensors(backbone);
  DualStream shapes = inference_shapes(backbone.config, precision);
  const std::set<std::string> quantized = int8_keys(shapes);
  TensorMap tensors;
  for (const auto& [key, stored] : backbone.tensors) {
    if (quantized.contains(key)) {
      const Int8Rows rows = int8_rows(backbone, key, stored);
      tensors[key] = pack_int8(rows.values).to(device);
      tensors[key + kScaleSuffix] = rows.scale.to(device);
    } else if (is_frozen(key)) {  // taken or made anew, by its precision in the file
      tensors[key] = stored.read();
    } else {
      tensors[key] = stored.read().to(device, kept_type(key, precision)).contiguous();
    }
  }
  const DualStream model = load_dual_stream(std::move(shapes), tensors, backbone.where);
  return compute_copy(model, precision.dtype, device);
}

}  // namespace i1
