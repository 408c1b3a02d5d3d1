// NumPy's .npz archives, as the JAX trainer saves checkpoints: a zip of one .npy file a tensor,
// named <key>.npy. bfloat16 has no code of its own there and is stored as a void of two bytes.
#pragma once

#include "i1/io/stored_tensor.h"
#include "i1/io/zip.h"

namespace i1 {

/// The tensors by key, without ".npy"; of those not wanted not even the header is read. Throws
/// UserError (file, entry, found, expected) where an entry is no .npy file, its header is damaged
/// or does not fit its size, or its type has no tensor (objects, texts, records, big-endian
/// numbers).
StoredTensors parse_npz(std::shared_ptr<const ZipArchive> archive,
                        const WantsTensor& wants = nullptr);

}  // namespace i1
