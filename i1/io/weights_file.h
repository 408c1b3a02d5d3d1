// One way to open weights, whatever wrote them.
#pragma once

#include <nlohmann/json.hpp>

#include "i1/io/stored_tensor.h"

namespace i1 {

struct WeightsFile {
  std::string where;      ///< the path; opens error messages
  std::string format;     ///< "safetensors", "PyTorch", "NumPy", "GGUF"
  StoredTensors tensors;  ///< by the names of the format: a.b in PyTorch, a/b in NumPy
  nlohmann::json values;  ///< what else is stored: config, step, metadata; null where nothing is
};

/// Opens, by their content and not by their names:
///   a .safetensors file, an index of shards (*.safetensors.index.json),
///   a folder of either (model.* or diffusion_pytorch_model.*, or shards ...-00001-of-0000N alone;
///   else its one .safetensors file, else the same in its sub-folder transformer/),
///   a PyTorch .pt file, a NumPy .npz file (also checkpoint.npz-002800000), a GGUF file.
/// No value is read; of an .npz and of shards nothing of what is not wanted. Throws UserError
/// (file, found, expected) where none fits, a shard is missing, or the file is damaged.
WeightsFile open_weights(const std::filesystem::path& path, const WantsTensor& wants = nullptr);

/// The same from a file's bytes.
WeightsFile parse_weights(const FileBytes& file, const WantsTensor& wants = nullptr);

/// The tensors whose names begin with `prefix`, under the rest of their names.
TensorMap read_tensors(const WeightsFile& weights, const std::string& prefix = "");

}  // namespace i1
