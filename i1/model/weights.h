// Checkpoints of the backbone under the names of the PyTorch files and of the JAX files.
#pragma once

#include "i1/io/safetensors.h"
#include "i1/model/dual_stream.h"

namespace i1 {

/// Sets the switches that stored configs lack (norm kinds, adapter depth, long skips, ...) and the
/// sizes that shapes show, from the tensors of a checkpoint in PyTorch names. Throws UserError
/// where they are not a dual-stream model's.
void infer_switches(ModelConfig& config, const TensorMap& tensors, const std::string& where);

/// A model of `config` with the values of `tensors` (PyTorch names). pos_embed and the RoPE tables
/// are taken where they fit and otherwise follow from the config; t_embedder may be absent. Throws
/// UserError (key, found, expected, nearest).
DualStream load_dual_stream(const ModelConfig& config, const TensorMap& tensors,
                            const std::string& where);

/// Weights of one side of a JAX checkpoint ("params_ema/", "params/") in PyTorch names: blocks
/// sorted into in, mid and out, kernels transposed. `depth` and `use_long_skip` come from the keys.
TensorMap from_jax_names(const TensorMap& tensors, const std::string& prefix);

/// The backbone of a checkpoint, not loaded into a model yet.
struct StoredBackbone {
  ModelConfig config;
  TensorMap tensors;  ///< PyTorch names; views of the file where it allows that
};

enum class WeightsSide { kEma, kRaw };

/// Reads one side of a checkpoint of any kind: PyTorch .pt (full or lean), JAX .npz (with or
/// without step suffix), safetensors under the PyTorch names (one file or shards; they hold the EMA
/// side alone). Only that side is read, no optimizer state. What the stored config lacks, or all of
/// it where the format has none, follows from keys and shapes; from its position table, in JAX
/// files, the resolution. Throws UserError (file, key, found, expected).
StoredBackbone read_backbone(const std::filesystem::path& path,
                             WeightsSide side = WeightsSide::kEma);

/// The same weights for pictures of another size: tables of positions are rebuilt.
StoredBackbone at_resolution(StoredBackbone stored, int64_t resolution, int64_t latent_size);

/// All tensors of a model by key, without those that are absent.
TensorMap to_tensor_map(DualStream& model);

/// A copy to compute with: matrices, their biases and the tables of positions in `dtype`, norm
/// weights in float32, all on `device`. RoPE tables stay float32.
DualStream compute_copy(const DualStream& model, at::ScalarType dtype, at::Device device);

/// Whether compute copies keep this tensor in float32.
bool stays_float32(const std::string& key);

}  // namespace i1
