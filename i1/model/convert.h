// A backbone from any file that holds one to another format and type, one tensor in memory at a
// time.
#pragma once

#include <filesystem>
#include <string>

#include "i1/model/weights.h"

namespace i1 {

struct ConvertOptions {
  /// float32; bfloat16 (norms and tables float32); int8 with a scale a row, q8_0 or q4_0 for the
  /// matrices, where rows of q8_0 and q4_0 must be multiples of 32 and others are bfloat16, the
  /// rest float32. Empty = as stored, blocks and int8 as float32.
  std::string dtype = {};
  std::string format = {};      ///< safetensors or gguf; empty = by the target's name
  int64_t max_shard_bytes = 0;  ///< of a folder of safetensors; 0 = 5 GB
};

/// The tensors of a backbone, and the tables that follow from its config where it has none or ones
/// of less than 32 bits.
StoredTensors with_tables(const OpenBackbone& backbone);

/// What will be written, decided before any of it is.
struct ConvertPlan {
  std::filesystem::path target;
  bool is_gguf = false, is_folder = false;
  ModelConfig config;
  StoredTensors tensors;  ///< names, types and order of the target; read from the source, converted
  int64_t max_shard_bytes = 0;
  uint64_t num_bytes = 0;  ///< of all tensors
};

/// Tables of positions that the source lacks are added. TARGET.safetensors and TARGET.gguf are
/// files, other targets folders of model.safetensors or its shards. Throws UserError for an unknown
/// type or format, one that the other cannot hold, a target that is something else than weights, or
/// the source, or in it or around it, and for tensors that are not those of the source's config.
ConvertPlan plan_convert(const OpenBackbone& source, const std::filesystem::path& source_path,
                         const std::filesystem::path& target, const ConvertOptions& options);

/// Writes the target, complete or not at all. Throws UserError, naming the tensor, for a value that
/// is not finite or too large for its type, Failure for a full disk, Interrupted.
void write_converted(const ConvertPlan& plan);

}  // namespace i1
