// Checkpoints of a run: complete or not there, checked when read.
//
//   RUN/checkpoint-000001000/    weights, ema, mu, nu (.safetensors)
//                                state.json: step, data position, config, checksum of each file
#pragma once

#include <filesystem>
#include <optional>

#include "i1/train/state.h"

namespace i1 {

/// Writes RUN/checkpoint-STEP under a temporary name, flushes and renames it. Then removes older
/// ones, but for the one before it (a fallback) and those whose step is kept for good. Throws
/// Failure; older checkpoints stay as they are then.
void save_checkpoint(const std::filesystem::path& run, const TrainConfig& config,
                     TrainState& state);

/// The steps of a run's checkpoints, oldest first.
std::vector<int64_t> checkpoint_steps(const std::filesystem::path& run);

/// The newest checkpoint that is whole, or nothing where the run has none. One that is damaged (a
/// missing file, a wrong checksum) is named on standard error and passed over. Throws UserError
/// where all are damaged, and where the stored config's model or text encoder differs from
/// `config`'s.
std::optional<TrainState> load_checkpoint(const std::filesystem::path& run,
                                          const TrainConfig& config, at::Device device);

/// The newest whole checkpoint of a run under the config stored in it: for stages that start from
/// another one. Throws UserError where there is none.
TrainState load_newest_state(const std::filesystem::path& run, at::Device device);

std::filesystem::path checkpoint_folder(const std::filesystem::path& run, int64_t step);

}  // namespace i1
