// What conversions of weights share: values checked as they pass, where a target may lie, progress.
#pragma once

#include <filesystem>
#include <string>

#include "i1/io/stored_tensor.h"

namespace i1 {

/// The files of a written folder, "model.safetensors" or its shards and their index, and how large
/// those are unless told.
constexpr const char* kWeightsStem = "model";
constexpr int64_t kShardBytes = 5'000'000'000;
bool is_weights_name(const std::string& name);

/// The same tensor, whose reading throws UserError (opened by `where`) for a value that is not
/// finite or of which the absolute value is above `largest`, and Interrupted.
StoredTensor checked_values(const StoredTensor& source, const std::string& where, double largest);

StoredTensor as_dtype(const StoredTensor& source, at::ScalarType dtype);

/// Throws UserError where the target is the source, lies in it or, being a folder that would be
/// replaced, around it.
void check_places(const std::filesystem::path& source, const std::filesystem::path& target,
                  bool is_folder);

/// Throws Failure where `target` has less than `num_bytes` to lie in.
void check_space(const std::filesystem::path& target, uint64_t num_bytes);

/// Shows how much of `num_bytes` is written and gives back the memory of what was read. Throws
/// Interrupted.
TensorWritten conversion_progress(uint64_t num_bytes);

}  // namespace i1
