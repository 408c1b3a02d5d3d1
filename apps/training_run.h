// One stage of a recipe from its first or last saved step to its end.
#pragma once

#include <filesystem>

#include "i1/bundle.h"
#include "i1/train/trainer.h"

namespace i1 {

struct RunFolders {
  std::filesystem::path data_root;  ///< caches, tokenizer, text encoder
  std::filesystem::path output;     ///< one folder a stage below it
  std::filesystem::path vae;        ///< draws the sample sheets
};

/// Trains until the last step or until an interrupt, after which the step in hand is finished and
/// saved. Writes into OUTPUT/STAGE: checkpoints, metrics.csv, loss.png, samples/STEP.png. Throws
/// UserError, Failure, Interrupted.
void run_stage(const TrainConfig& config, const RunFolders& folders, at::Device device);

/// The averaged weights of a stage's newest checkpoint as a folder for i1 generate.
void export_stage(const TrainConfig& config, const RunFolders& folders,
                  const std::filesystem::path& bundle);

/// What a trained net needs beside its weights to draw.
BundleConfig bundle_config(const TrainConfig& config);

}  // namespace i1
