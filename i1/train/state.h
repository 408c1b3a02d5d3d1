// Everything that a run trains and that a checkpoint holds.
#pragma once

#include <optional>

#include "i1/data/cached_batches.h"
#include "i1/model/dual_stream.h"
#include "i1/text/t5gemma.h"
#include "i1/train/config.h"

namespace i1 {

/// The trained networks under one field list: weights, averages, moments and gradients are structs
/// of this shape.
struct Net {
  DualStream backbone;
  std::optional<T5GemmaEncoder> text_encoder;  ///< where it is trained along

  static void fields(auto& self, auto&& visit) {
    visit("backbone", self.backbone);
    visit("text_encoder", self.text_encoder);
  }
};

/// Whether Adam moves this tensor of a Net.
bool is_trained(const std::string& key);

struct TrainState {
  int64_t step = 0;  ///< optimizer updates done
  Net weights, ema;  ///< float32
  Net mu, nu;        ///< moments; undefined for frozen tensors
  DataPosition data;
};

/// The state before the first step: initial weights, the average a copy of them, moments zero.
TrainState initial_state(const TrainConfig& config, at::Device device);

/// Starts a stage from an earlier one: weights and averages, but for the tables that belong to a
/// resolution; the text encoder where this stage trains one. Moments stay zero. Throws UserError
/// (naming `where`) for a net of another size.
void start_from(TrainState& state, const Net& weights, const Net& ema, const std::string& where);

/// A copy to compute with: see compute_copy (weights.h). Tensors that are trained are leaves that
/// require gradients.
Net compute_net(const Net& weights, at::ScalarType dtype);

}  // namespace i1
