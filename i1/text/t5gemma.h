// The encoder half of T5Gemma (Zhang et al. 2025, "Encoder-Decoder Gemma"): a Gemma 2 transformer
// whose attention looks both ways. Its last hidden states are what i1 knows of a prompt.
//
//   h = embed[ids] * sqrt(D)
//   h += N2(attention(N1(h)));  h += N4(mlp(N3(h)))      a layer
//   N(h)                                                  at the end;  N(x) = x / rms(x) * (1 + w)
//
// Departures from the textbook: norms on both sides of attention and MLP, their weight stored as a
// difference from 1; logits scaled by query_pre_attn_scalar, not head_dim, then soft-capped; RoPE
// turns channel d with d + E/2; grouped key/value heads; every other layer sees a window only.
//
// Legend: B prompts, T padded length, N packed rows, D hidden_size, H heads, G key/value heads,
// E head_dim, F intermediate_size.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "i1/core/observer.h"
#include "i1/core/random.h"
#include "i1/text/t5gemma_config.h"

namespace i1 {

/// Floating-point values, or int8 with a factor a row, as files of i1/io/row_scales.h hold them.
struct T5GemmaWeight {
  at::Tensor weight;
  std::optional<at::Tensor> row_scale = {};  ///< (rows) float32

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("weight.row_scale", self.row_scale);
  }
};

struct T5GemmaAttention {
  T5GemmaWeight q_proj;          // (H*E, D)
  T5GemmaWeight k_proj, v_proj;  // (G*E, D)
  T5GemmaWeight o_proj;          // (D, H*E)

  static void fields(auto& self, auto&& visit) {
    visit("q_proj", self.q_proj);
    visit("k_proj", self.k_proj);
    visit("v_proj", self.v_proj);
    visit("o_proj", self.o_proj);
  }
};

struct T5GemmaMlp {
  T5GemmaWeight gate_proj, up_proj;  // (F, D)
  T5GemmaWeight down_proj;           // (D, F)

  static void fields(auto& self, auto&& visit) {
    visit("gate_proj", self.gate_proj);
    visit("up_proj", self.up_proj);
    visit("down_proj", self.down_proj);
  }
};

struct T5GemmaLayer {
  T5GemmaAttention self_attn;
  T5GemmaMlp mlp;
  T5GemmaWeight pre_self_attn_layernorm, post_self_attn_layernorm;      // (D)
  T5GemmaWeight pre_feedforward_layernorm, post_feedforward_layernorm;  // (D)

  static void fields(auto& self, auto&& visit) {
    visit("self_attn", self.self_attn);
    visit("mlp", self.mlp);
    visit("pre_self_attn_layernorm", self.pre_self_attn_layernorm);
    visit("post_self_attn_layernorm", self.post_self_attn_layernorm);
    visit("pre_feedforward_layernorm", self.pre_feedforward_layernorm);
    visit("post_feedforward_layernorm", self.post_feedforward_layernorm);
  }
};

/// The field list gives the keys of a Hugging Face file below "model.encoder.".
struct T5GemmaEncoder {
  T5GemmaConfig config;
  T5GemmaWeight embed_tokens;  // (vocab_size, D)
  std::vector<T5GemmaLayer> layers;
  T5GemmaWeight norm;  // (D)

  static void fields(auto& self, auto&& visit) {
    visit("embed_tokens", self.embed_tokens);
    visit("layers", self.layers);
    visit("norm", self.norm);
  }
};

/// What rows of padding compute. They matter: i1's adapter attends to them.
enum class PaddingMode {
  kJax,  ///< their attention output is 0, so all of them are one constant vector; as i1 was trained
  kTorch  ///< they attend to the prompt like any other row; as in i1's PyTorch inference
};

struct TextEncoderOptions {
  /// float32 or bfloat16. Weights of another dtype are cast as they are used (differentiably),
  /// those of int8 multiplied by their factors in float32 before.
  /// Norm statistics, RoPE and softmax are float32 in either case.
  at::ScalarType compute_dtype = at::kFloat;
  PaddingMode padding = PaddingMode::kJax;
  /// The soft cap of attention logits: part of the model, and on in training; i1's PyTorch
  /// inference drops it.
  bool use_logit_softcap = true;
};

/// The rows of one prompt in PackedText: its tokens, then its padding.
struct PackedPrompt {
  int64_t begin = 0;
  int64_t num_tokens = 0;
  /// kJax: one, which stands for all T - num_tokens of them, or none where the prompt fills T.
  /// kTorch: T - num_tokens.
  int64_t num_padding_rows = 0;
};

/// Encoded prompts, one after the other without gaps: what the adapter takes.
struct PackedText {
  at::Tensor hidden;  ///< (N, D) of the compute dtype
  at::Tensor
      key_bias;  ///< (N) float32: log of how many rows of the padded form this one stands for
  std::vector<PackedPrompt> prompts;
};

/// Encodes B prompts given as token ids, each of at most `num_text_tokens` (T), without computing
/// what is the same for every padding row. Differentiable in the weights. Throws UserError for a
/// prompt that is too long and for ids outside the vocabulary. Stages: as of encode_padded_text, of
/// whatever rows it works on.
PackedText encode_text(const T5GemmaEncoder& encoder,
                       const std::vector<std::vector<int64_t>>& prompts, int64_t num_text_tokens,
                       const TextEncoderOptions& options = {}, const Observer* observer = nullptr);

/// The same on padded rows, for any mask. ids, mask: (B, T), integers; mask 1 = token. Returns
/// (B, T, D). Rows that see no key get an attention output of 0. Differentiable in the weights.
/// Stages: "hidden.0" (scaled embeddings) to "hidden.L" (after each layer), "layer0.q_rope" and the
/// like, "last_hidden_state".
at::Tensor encode_padded_text(const T5GemmaEncoder& encoder, const at::Tensor& ids,
                              const at::Tensor& mask, const TextEncoderOptions& options = {},
                              const Observer* observer = nullptr);

/// Which keys a query sees, (B, T, T) bool, [query][key]: those of the mask, in a sliding layer
/// only where |i - j| < window; with kJax none at all for a query of padding.
at::Tensor visible_keys(const at::Tensor& mask, bool is_sliding, int64_t window,
                        PaddingMode padding);

/// The values in `dtype`.
at::Tensor values_of(const T5GemmaWeight& weight, at::ScalarType dtype);

/// An encoder with tensors of the right shapes and no values (meta device).
T5GemmaEncoder t5gemma_shapes(const T5GemmaConfig& config);

/// An encoder to train from, float32: linear weights normal with std fan_in^-1/2, embeddings with
/// std D^-1/2 (so that, scaled, they are of size 1 like every later addition to the residual), norm
/// weights 0, which is a scale of 1. transformers draws everything with std 0.02, which is the same
/// for linear weights at the full width of 2304. Each tensor has a stream of its own, named by its
/// key.
T5GemmaEncoder init_t5gemma(const T5GemmaConfig& config, const RandomStream& stream);

/// Reads a Hugging Face folder: config.json, and safetensors in one file or in shards with an
/// index. Takes the encoder and leaves the decoder; keys begin with "model.encoder.", or with
/// "encoder." in an export of the encoder alone. Weights keep their stored dtype, int8 its factors;
/// on the CPU they are views of the mapped files. Throws UserError (file, key, found, expected).
T5GemmaEncoder load_t5gemma(const std::filesystem::path& folder, at::Device device = at::kCPU);

/// The same encoder without int8: pairs are multiplied to float32, and may be trained.
T5GemmaEncoder widened(T5GemmaEncoder encoder);

/// Writes config.json and model.safetensors, an encoder alone, loadable by `load_t5gemma` and,
/// where no weight is int8, by transformers. Throws Failure where the folder cannot be written.
void save_t5gemma(const T5GemmaEncoder& encoder, const std::filesystem::path& folder);

}  // namespace i1
