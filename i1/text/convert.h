// A T5Gemma encoder from one folder to another in a chosen type, a tensor in memory at a time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "i1/io/stored_tensor.h"
#include "i1/text/t5gemma_config.h"

namespace i1 {

/// Whether a folder's config.json is that of a T5Gemma, whole or its encoder.
bool holds_t5gemma(const std::filesystem::path& folder);

/// What will be written, decided before any of it is.
struct T5GemmaConvertPlan {
  std::filesystem::path target;
  T5GemmaConfig config;
  StoredTensors tensors;                      ///< names and types of the target
  std::vector<std::filesystem::path> copied;  ///< the tokenizer's files
  int64_t max_shard_bytes = 0;
  uint64_t num_bytes = 0;  ///< of all tensors
};

/// The encoder of `source` (load_t5gemma), the decoder left out, as a folder that load_t5gemma
/// reads. `dtype`: float32; bfloat16 (norms float32); int8 with a scale a row for the matrices, the
/// rest float32; empty = as stored, int8 as float32. `max_shard_bytes` 0 = 5 GB. Throws UserError
/// for another type, for tensors that are not those of the config, and for a target that is no
/// folder's name, is the source, in it or around it, or holds something else than such an encoder.
T5GemmaConvertPlan plan_convert_t5gemma(const std::filesystem::path& source,
                                        const std::filesystem::path& target,
                                        const std::string& dtype, int64_t max_shard_bytes = 0);

/// Writes the target, complete or not at all. Throws as write_converted (i1/model/convert.h) does.
void write_converted(const T5GemmaConvertPlan& plan);

}  // namespace i1
