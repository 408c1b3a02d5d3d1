// How many values a decoding holds at once.
#pragma once

#include "i1/vae/flux2.h"
#include "i1/vae/qwen_image.h"
#include "i1/vae/taef2.h"

namespace i1 {

struct DecodeSize {
  int64_t batch, height, width;  ///< of the latents
  int64_t band_rows;             ///< rows of a level at a time; 0 = all
};

/// About the largest number of values that decoding holds at once, weights not counted: the maps
/// kept plus what a block at work needs, its input, norm, activation, a copy for the convolution
/// and its output, at the level that needs most.
int64_t decode_values(const Autoencoder& vae, const DecodeSize& size);
int64_t decode_values(const QwenImageAutoencoder& vae, const DecodeSize& size);
int64_t decode_values(const Taef2& vae, const DecodeSize& size);

}  // namespace i1
