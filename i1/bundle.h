// All that a picture needs, in one folder:
//
//   bundle.json                       the model's config, its default request, its autoencoder
//   model.safetensors, or shards      the backbone under its checkpoint names
//   text_encoder/, tokenizer/         as Hugging Face keeps them
//
// Matrices may be int8 with a scale a row (i1/io/row_scales.h).
#pragma once

#include <filesystem>

#include "i1/core/compute_dtype.h"
#include "i1/core/lazy.h"
#include "i1/io/buckets.h"
#include "i1/io/safetensors.h"
#include "i1/memory_plan.h"
#include "i1/model/dual_stream.h"
#include "i1/request.h"
#include "i1/text/t5gemma.h"
#include "i1/text/tokenizer.h"
#include "i1/vae/vae.h"

namespace i1 {

/// Choices that a model's author made for those who use it.
struct BundleConfig {
  std::string name;
  ModelConfig model;
  Buckets buckets;               ///< other shapes that it is trained on
  std::string vae = "../taef2";  ///< relative to the folder
  int64_t num_steps = 250;
  double guidance_scale = 12;
  double guidance_rescale = 1;
  double timestep_shift = 0.3;
  std::string schedule = "shifted";

  static void fields(auto& self, auto&& visit) {
    visit("name", self.name);
    visit("model", self.model);
    visit("buckets", self.buckets);
    visit("vae", self.vae);
    visit("num_steps", self.num_steps);
    visit("guidance_scale", self.guidance_scale);
    visit("guidance_rescale", self.guidance_rescale);
    visit("timestep_shift", self.timestep_shift);
    visit("schedule", self.schedule);
  }
};

/// Where the parts of a model lie: a bundled model's name or a folder with bundle.json, or weights
/// of a backbone alone in any form that read_backbone reads. The other two may be left empty.
struct ModelFiles {
  std::string model;
  std::string text_encoder;  ///< a Hugging Face folder of T5Gemma, its tokenizer in it
  std::string vae;           ///< what Vae::load takes
};

/// The parts of a model. The two large networks may be loaded when they are first used, and let go
/// when they are done with: never all of a large model has to be in memory.
struct Bundle {
  BundleConfig config;
  Lazy<DualStream> backbone;
  Lazy<T5GemmaEncoder> text_encoder;
  Tokenizer tokenizer;
  Vae vae;
  ModelMemory memory = {};
};

/// The folder of a bundled model's name ("nano") or the path itself. `program_folder` holds the
/// executable: bundled models lie in weights/ above it. Throws UserError, listing what is there,
/// where nothing fits.
std::filesystem::path find_bundle(const std::string& model,
                                  const std::filesystem::path& program_folder);

/// The path itself, or weights/NAME above the program, or the downloaded NAME (models_folder).
/// Throws UserError where none exists.
std::filesystem::path find_weights(const std::string& name,
                                   const std::filesystem::path& program_folder);

/// A folder's model, for computing in `precision` on `device`. Names, shapes and files of every
/// part are checked here, values are read as a part is used. `vae`: another autoencoder than the
/// folder's own. Throws UserError (file, key, found, expected).
Bundle load_bundle(const std::filesystem::path& folder, at::Device device, Precision precision,
                   const std::filesystem::path& vae = {});

/// The model of `files`. Beside a backbone alone, what is left empty is looked for by
/// find_weights: t5gemma-2b; flux2-vae, and where that is not there TAEF2, which decodes the same
/// latents. Throws UserError (file, found, expected) where a part is missing or the parts do
/// not fit one another.
Bundle load_model(const ModelFiles& files, const std::filesystem::path& program_folder,
                  at::Device device, Precision precision);

/// Writes a folder that load_bundle reads, complete or not at all: bundle.json, the backbone's
/// shards of at most `max_shard_bytes`, the text encoder, and copies of the tokenizer's files.
/// Tables, t_embedder and the last block's unused text layers are left out. Matrices are stored as
/// int8 with a float32 scale a row, the rest as bfloat16 (norms float32).
void save_bundle(const std::filesystem::path& folder, const BundleConfig& config,
                 const DualStream& backbone, const T5GemmaEncoder& text_encoder,
                 const std::filesystem::path& tokenizer, int64_t max_shard_bytes = 15'000'000);

}  // namespace i1
