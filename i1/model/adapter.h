// The text-encoder adapter: a small trained transformer between the frozen text encoder and the
// backbone.
//
//   x = connector_in(states);  x += attention(norm(x));  x += ffn(norm(x))      a block
//
// Its attention has no mask and no RoPE: padding takes part, and changes the result. It owns the
// null caption, the unconditional caption in text-encoder space.
//
// Legend: G captions, T padded length, W text_width, R packed rows, D hidden_size.
#pragma once

#include <string>
#include <vector>

#include "i1/core/observer.h"
#include "i1/model/components.h"

namespace i1 {

struct AdapterAttention {
  Linear qkv;                          ///< D -> 3D, [q | k | v], each head-major
  std::optional<Norm> q_norm, k_norm;  ///< over head_dim
  Linear proj;                         ///< D -> D

  static void fields(auto& self, auto&& visit) {
    visit("qkv", self.qkv);
    visit("q_norm", self.q_norm);
    visit("k_norm", self.k_norm);
    visit("proj", self.proj);
  }
};

struct AdapterBlock {
  Norm attention_norm, ffn_norm;
  AdapterAttention attn;
  Ffn mlp;
};

struct Adapter {
  at::Tensor learnable_null_caption;  ///< (1, T, W)
  Linear connector_in;                ///< W -> D
  std::vector<AdapterBlock> blocks;

  /// Checkpoints number the blocks in their own way: connector_norm1, connector_norm2,
  /// connector_attn, connector_mlp, then connector_norm3, connector_norm4, connector_attn2,
  /// connector_mlp2.
  static void fields(auto& self, auto&& visit) {
    visit("learnable_null_caption", self.learnable_null_caption);
    visit("connector_in", self.connector_in);
    for (size_t i = 0; i < self.blocks.size(); ++i) {
      const std::string suffix = i == 0 ? "" : std::to_string(i + 1);
      visit(("connector_norm" + std::to_string(2 * i + 1)).c_str(), self.blocks[i].attention_norm);
      visit(("connector_norm" + std::to_string(2 * i + 2)).c_str(), self.blocks[i].ffn_norm);
      visit(("connector_attn" + suffix).c_str(), self.blocks[i].attn);
      visit(("connector_mlp" + suffix).c_str(), self.blocks[i].mlp);
    }
  }
};

/// Captions in text-encoder space, packed: the rows of caption g are [row_offsets[g], row_offsets[g
/// + 1]).
struct Captions {
  at::Tensor states;                 ///< (R, W)
  std::vector<int64_t> row_offsets;  ///< (G + 1)
  at::Tensor key_bias;  ///< (R) float32: log of how many equal rows this one stands for; undefined
                        ///< = one each
};

/// All T rows of padded captions. states: (G, T, W).
Captions captions_from_padded(const at::Tensor& states);

/// The rows of both, one after the other.
Captions join(const Captions& first, const Captions& second);

/// (R, W) -> (R, D), in the dtype of the weights.
at::Tensor adapt(const Adapter& adapter, const ModelConfig& config, const Captions& captions,
                 const Observer* observer = nullptr);

Adapter make_adapter(const ModelConfig& config);

}  // namespace i1
