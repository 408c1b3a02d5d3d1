#include "i1/model/inference.h"

#include "i1/io/row_scales.h"
#include "i1/kernels/int8_linear.h"
#include "i1/model/convert.h"
#include "i1/model/int8.h"
#include "i1/model/model_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
namespace fs = std::filesystem;

void expect_equal(DualStream a, DualStream b) {
  for_each_tensor_pair(a, b, [](const std::string& key, at::Tensor& x, at::Tensor& y) {
    EXPECT_EQ(x.scalar_type(), y.scalar_type()) << key;
    EXPECT_TRUE(at::equal(x, y)) << key;
  });
}

// A file of tiny_config in `dtype` ("float32", "bfloat16", "int8"), and that model.
fs::path save(const fs::path& folder, const std::string& dtype) {
  DualStream model = random_model(tiny_config());
  const fs::path plain = folder / "plain.safetensors", target = folder / (dtype + ".safetensors");
  write_safetensors(plain, to_tensor_map(model));
  write_converted(plan_convert(open_backbone(plain), plain, target, {dtype, "", {}}));
  return target;
}

TEST(Inference, IsTheWholeModelConverted) {
  const fs::path folder = fresh_folder("inference");
  for (const char* stored : {"float32", "bfloat16"}) {
    const fs::path file = save(folder, stored);
    const StoredBackbone whole = read_backbone(file);
    const DualStream plain = load_dual_stream(whole.config, whole.tensors, file.string());
    for (const Precision& precision :
         {Precision(at::kFloat), Precision(at::kBFloat16), Precision(at::kBFloat16, true)}) {
      SCOPED_TRACE(stored + (" in " + precision.name()));
      DualStream expected = plain;
      if (precision.has_int8_weights) quantize_blocks(expected);
      expect_equal(load_for_inference(open_backbone(file), precision, at::kCPU),
                   compute_copy(expected, precision.dtype, at::kCPU));
    }
  }
}

TEST(Inference, Int8FilesAreTakenAsTheyAre) {
  const fs::path file = save(fresh_folder("inference_int8"), "int8");
  const OpenBackbone backbone = open_backbone(file);
  const DualStream model = load_for_inference(backbone, {at::kFloat, true}, at::kCPU);
  const Linear& layer = model.in_blocks[0].attn.qkv_image;
  const std::string key = "in_blocks.0.attn.qkv_image.weight";
  ASSERT_TRUE(layer.row_scale);
  EXPECT_TRUE(at::equal(layer.weight, pack_int8(backbone.int8_pairs.at(key).read())));
  EXPECT_TRUE(at::equal(*layer.row_scale, backbone.int8_pairs.at(key + ".row_scale").read()));
}

// So that pictures are equal whether weights are quantized by i1 convert or when they are loaded.
TEST(Inference, FilesAreQuantizedAsLayersAre) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor weight = at::randn({40, 50}).to(dtype);
    weight[3].fill_(0);
    weight[4].fill_(1e-35);
    const Int8Rows rows = quantize_to_int8(weight, weight.size(1));
    const auto [values, scale] = quantize_rows(weight.to(at::kFloat));
    EXPECT_TRUE(at::equal(rows.values, values));
    EXPECT_TRUE(at::equal(rows.scale.squeeze(1), scale));
  }
}

TEST(Inference, MemoryIsCountedBeforeAnythingIsRead) {
  const fs::path folder = fresh_folder("inference_memory");
  const OpenBackbone wide = open_backbone(save(folder, "float32"));
  const BackboneMemory as_stored = inference_memory(wide, at::kFloat, at::kCPU);
  EXPECT_EQ(as_stored.copied, 0);
  const BackboneMemory narrow = inference_memory(wide, at::kBFloat16, at::kCPU);
  EXPECT_GT(narrow.copied, as_stored.mapped * 2 / 5);  // half, but for norms and tables
  const BackboneMemory int8 = inference_memory(wide, {at::kBFloat16, true}, at::kCPU);
  EXPECT_LT(int8.copied, narrow.copied);
  const OpenBackbone stored_int8 = open_backbone(save(folder, "int8"));
  EXPECT_EQ(inference_memory(stored_int8, {at::kBFloat16, true}, at::kCPU).copied, int8.copied);
}

TEST(Inference, WhatDoesNotFitIsNamedBeforeAnythingIsRead) {
  OpenBackbone backbone = open_backbone(save(fresh_folder("inference_bad"), "bfloat16"));
  for (auto& [key, stored] : backbone.tensors)
    stored.read = []() -> at::Tensor { throw std::logic_error("read"); };
  backbone.tensors.erase("out_blocks.0.norm2.scale");
  expect_error("no tensor \"out_blocks.0.norm2.scale\"",
               [&] { load_for_inference(backbone, at::kBFloat16, at::kCPU); });
}

}  // namespace
}  // namespace i1
