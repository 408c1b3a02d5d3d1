// What a picture was asked for: the one struct that the command line fills, the pipeline reads and
// every PNG carries.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace i1 {

struct Request {
  std::string model = "nano";  ///< name of a bundled model, or the folder or file of one
  std::string text_encoder;    ///< folder of a T5Gemma; empty = the model's own
  std::string vae;             ///< file or folder of an autoencoder; empty = the model's own
  std::string prompt;
  std::string
      negative_prompt;  ///< stands in for the null caption in guidance; empty = the null caption
  int64_t width = 0;    ///< pixels; 0 = the model's own resolution
  int64_t height = 0;
  uint64_t seed = 0;
  int64_t prompt_index =
      0;  ///< which prompt of its run, and which of its pictures: with the seed they name the noise
  int64_t image_index = 0;
  int64_t num_steps = 0;  ///< 0 = the model's default
  double guidance_scale = 12;
  double guidance_rescale = 1;
  double guidance_start = 0;         ///< guidance acts for t >= this
  std::string schedule = "shifted";  ///< shifted, uniform
  double timestep_shift = 0.3;       ///< s of the shifted schedule
  /// Rows of the picture decoded at a time, 0 = all; they move pixels by rounding errors. Below 0 =
  /// all, or kBandRows (i1/vae/vae.h) where that takes more than a little memory.
  int64_t decode_rows = -1;
  std::string compute_dtype;  ///< float32, bfloat16, int8; empty = chosen for the machine

  static void fields(auto& self, auto&& visit) {
    visit("model", self.model);
    visit("text_encoder", self.text_encoder);
    visit("vae", self.vae);
    visit("prompt", self.prompt);
    visit("negative_prompt", self.negative_prompt);
    visit("width", self.width);
    visit("height", self.height);
    visit("seed", self.seed);
    visit("prompt_index", self.prompt_index);
    visit("image_index", self.image_index);
    visit("num_steps", self.num_steps);
    visit("guidance_scale", self.guidance_scale);
    visit("guidance_rescale", self.guidance_rescale);
    visit("guidance_start", self.guidance_start);
    visit("schedule", self.schedule);
    visit("timestep_shift", self.timestep_shift);
    visit("decode_rows", self.decode_rows);
    visit("compute_dtype", self.compute_dtype);
  }
};

/// The name of the PNG text chunk that holds the request as JSON.
inline constexpr const char* kRequestKey = "i1";

std::string request_to_text(const Request& request);

/// Throws UserError (naming `where`) where the text is not a request.
Request request_from_text(const std::string& text, const std::string& where);

/// A text as one word for a shell.
std::string shell_quoted(const std::string& text);

/// The command that makes the same bytes again, quoted for a shell: i1 generate '...' --seed ...
std::string command_line(const Request& request, const std::string& output);

}  // namespace i1
