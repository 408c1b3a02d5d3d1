#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace i1 {

/// Sizes and switches of a dual-stream model. Defaults: the final i1 recipe at XL size, 256 px.
struct ModelConfig {
  int64_t resolution = 256;      ///< R: pixels a side of the pictures it is trained on
  int64_t latent_size = 32;      ///< R / 8: latent pixels a side
  int64_t latent_channels = 32;  ///< C
  int64_t patch_size = 2;        ///< P
  int64_t hidden_size = 1152;    ///< D
  int64_t depth = 29;      ///< in + mid + out blocks; an even depth with long skips builds one more
  int64_t num_heads = 16;  ///< H
  double mlp_ratio = 4;
  int64_t text_width = 2304;      ///< of the text encoder's hidden states
  int64_t num_text_tokens = 256;  ///< T: captions are padded to it
  int64_t num_adapter_blocks = 2;
  bool use_long_skip = true;
  bool use_sandwich_norm = true;
  bool use_qk_norm = true;
  bool use_swiglu = true;              ///< else GELU (tanh)
  bool use_rms_norm = true;            ///< else LayerNorm
  bool use_separate_norms = false;     ///< norm1 and norm2 of their own for the text stream
  bool use_separate_qk_norms = false;  ///< q and k norms too: what JAX does with use_separate_norms
  double rope_theta = 10000;
  std::vector<int64_t>
      rope_axes_dims;  ///< (time, row, column) channels; empty = by the default rule
  std::vector<int64_t> rope_axes_lens;  ///< table lengths; empty = (T + 1, grid, grid)

  int64_t head_dim() const { return hidden_size / num_heads; }  ///< E
  int64_t grid_size() const { return latent_size / patch_size; }
  int64_t ffn_size() const;  ///< F: int(2/3 int(mlp_ratio D)) for SwiGLU, int(mlp_ratio D) for GELU
  int64_t num_in_blocks() const;     ///< as many out-blocks; 0 without long skips
  int64_t num_plain_blocks() const;  ///< blocks of a model without long skips
  double position_scale() const { return 256.0 / static_cast<double>(resolution); }
  std::array<int64_t, 3> rope_dims() const;

  static void fields(auto& self, auto&& visit) {
    visit("resolution", self.resolution);
    visit("latent_size", self.latent_size);
    visit("latent_channels", self.latent_channels);
    visit("patch_size", self.patch_size);
    visit("hidden_size", self.hidden_size);
    visit("depth", self.depth);
    visit("num_heads", self.num_heads);
    visit("mlp_ratio", self.mlp_ratio);
    visit("text_width", self.text_width);
    visit("num_text_tokens", self.num_text_tokens);
    visit("num_adapter_blocks", self.num_adapter_blocks);
    visit("use_long_skip", self.use_long_skip);
    visit("use_sandwich_norm", self.use_sandwich_norm);
    visit("use_qk_norm", self.use_qk_norm);
    visit("use_swiglu", self.use_swiglu);
    visit("use_rms_norm", self.use_rms_norm);
    visit("use_separate_norms", self.use_separate_norms);
    visit("use_separate_qk_norms", self.use_separate_qk_norms);
    visit("rope_theta", self.rope_theta);
    visit("rope_axes_dims", self.rope_axes_dims);
    visit("rope_axes_lens", self.rope_axes_lens);
  }

  bool operator==(const ModelConfig&) const = default;
};

/// The family of the paper: depth 29, heads of 72 channels. i1-1B is xl, i1-3B is _2016.
ModelConfig preset_xl(int64_t resolution, int64_t hidden_size = 1152);
ModelConfig preset_i1_3b(int64_t resolution);

/// The default split of head_dim into (time, row, column): half to time, the rest shared, all even
/// (72: 36, 18, 18).
std::array<int64_t, 3> default_rope_dims(int64_t head_dim);

/// Throws UserError, opened by `where`, for sizes that no model can have.
void check_model_config(const ModelConfig& config, const std::string& where);

/// Reads the names that the reference stores (input_size, image_resolution, ...). Names it does not
/// know are passed over.
ModelConfig config_from_reference(const nlohmann::json& stored);

}  // namespace i1
