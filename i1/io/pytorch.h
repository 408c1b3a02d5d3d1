// PyTorch's .pt files as torch.save has written them since 1.6: a zip of data.pkl, a pickle of
// nested dictionaries whose tensors name a place in a storage, and one entry a storage,
// <folder>/data/<key>. Files are read without Python and without running what they hold (pickle.h).
#pragma once

#include <nlohmann/json.hpp>

#include "i1/io/stored_tensor.h"
#include "i1/io/zip.h"

namespace i1 {

struct PyTorchFile {
  StoredTensors tensors;  ///< keys of the nested dictionaries joined by dots: "model.pos_embed"
  nlohmann::json
      values;  ///< everything else at its place: {"config": {...}, "train_state": {"step": 3}}
};

/// Reads the pickle alone; storages are touched when a tensor of theirs is read. Tensors that share
/// a storage share its memory. Throws UserError (file, name, found, expected) where the archive is
/// none of PyTorch's, the pickle is damaged or holds an object of a type that is refused, or a
/// tensor leaves its storage.
PyTorchFile parse_pytorch(std::shared_ptr<const ZipArchive> archive,
                          const WantsTensor& wants = nullptr);

/// Whether an archive is PyTorch's: it holds <folder>/data.pkl.
bool is_pytorch(const ZipArchive& archive);

}  // namespace i1
