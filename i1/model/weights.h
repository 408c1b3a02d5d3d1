// Checkpoints of the backbone under the names of the PyTorch files and of the JAX files.
#pragma once

#include "i1/io/safetensors.h"
#include "i1/io/weights_file.h"
#include "i1/model/dual_stream.h"

namespace i1 {

/// The metadata that our safetensors and GGUF files of a backbone carry: its ModelConfig as JSON.
constexpr const char* kConfigKey = "i1.config";

/// A model of `config` with the values of `tensors` (PyTorch names). pos_embed and the RoPE tables
/// are taken where they fit and are not rounded, and otherwise follow from the config; t_embedder
/// may be absent, and what else is_unused names stands as zeros then. Throws UserError (key, found,
/// expected, nearest).
DualStream load_dual_stream(const ModelConfig& config, const TensorMap& tensors,
                            const std::string& where);

/// The same into `shapes`, a model on the meta device whose layers may be int8 (quantize_blocks).
DualStream load_dual_stream(DualStream shapes, const TensorMap& tensors, const std::string& where);

/// Weights of one side of a JAX checkpoint ("params_ema/", "params/") in PyTorch names: blocks
/// sorted into in, mid and out, kernels transposed. `depth` and `use_long_skip` come from the keys.
TensorMap from_jax_names(const TensorMap& tensors, const std::string& prefix);

StoredTensors from_jax_names(const StoredTensors& tensors, const std::string& prefix);

/// The backbone of a checkpoint, not loaded into a model yet.
struct StoredBackbone {
  ModelConfig config;
  TensorMap tensors;  ///< PyTorch names; views of the file where it allows that
};

enum class WeightsSide { kEma, kRaw };

/// A backbone whose values are read when asked for.
struct OpenBackbone {
  std::string where, format;  ///< as of WeightsFile
  ModelConfig config;
  StoredTensors tensors;  ///< PyTorch names; pairs of int8 and row_scale, and blocks, as float32
  StoredTensors int8_pairs = {};  ///< those pairs as they are stored
};

/// Opens one side of a checkpoint of any kind: PyTorch .pt (full or lean), JAX .npz (with or
/// without step suffix), and, holding the EMA side alone, safetensors (one file, shards, a bundle,
/// folders with a config.json of the diffusers library) and GGUF under the PyTorch names, also
/// where others put transformer., diffusion_model. or model.diffusion_model. before them. Of the
/// other side and the optimizer state nothing is read. What the stored config lacks, or all of it
/// where there is none, follows from keys and shapes; from the position table, without config, the
/// resolution. Throws UserError (file, key, found, expected).
OpenBackbone open_backbone(const std::filesystem::path& path, WeightsSide side = WeightsSide::kEma);

/// Throws UserError (key, found, expected, nearest) unless the tensors are a whole model of the
/// config. Reads no value.
void check_tensors(const OpenBackbone& backbone);

/// The same with every value.
StoredBackbone read_backbone(const std::filesystem::path& path,
                             WeightsSide side = WeightsSide::kEma);

/// Whether an open file holds a backbone that open_backbone finds there.
bool holds_backbone(const WeightsFile& file, WeightsSide side = WeightsSide::kEma);

/// The same weights for pictures of another size: tables of positions are rebuilt.
StoredBackbone at_resolution(StoredBackbone stored, int64_t resolution, int64_t latent_size);

/// All tensors of a model by key, without those that are absent.
TensorMap to_tensor_map(DualStream& model);

/// A copy to compute with: matrices, their biases and the tables of positions in `dtype`, norm
/// weights in float32, all on `device`. RoPE tables stay float32.
DualStream compute_copy(const DualStream& model, at::ScalarType dtype, at::Device device);

/// Whether compute copies keep this tensor in float32.
bool stays_float32(const std::string& key);

/// Whether no picture depends on a weight: t_embedder and the last block's text projection
/// and text FFN.
bool is_unused(const std::string& key, const ModelConfig& config);

/// Whether a weight is a matrix that may be stored in fewer bits: no norm, bias, table or caption.
bool is_matrix(const std::string& key, at::IntArrayRef shape);

}  // namespace i1
