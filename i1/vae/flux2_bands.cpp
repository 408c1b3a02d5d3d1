// FLUX decoding in bands of rows.
//
// A tile decoded by itself would be wrong everywhere, not only at its border: each of the decoder's
// GroupNorms divides by statistics of the whole map. So the decoder runs layer by layer over the
// whole map, and only what lies between two norms runs band by band: norm with known statistics,
// SiLU, convolution. While a band is stored, its sums are added to the next norm's statistics. Two
// maps are stored at a time, a block's input and what its first convolution makes of it; the
// second convolution is added to the input in place. A level's first block reads its input, the
// enlarged map, twice: it is made again from the smaller one, which costs a quarter of the memory.
// The middle block's attention runs on the whole map, at 1/64 of the pixels.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_nearest2d.h>

#include "i1/core/memory.h"
#include "i1/kernels/map_norm.h"
#include "i1/vae/bands.h"
#include "i1/vae/flux2.h"

namespace i1 {
namespace {

// A map that is filled band by band, in the memory format of its bands.
class StoredMap {
 public:
  explicit StoredMap(int64_t height) : height_(height) {}

  void store(const at::Tensor& band, Rows rows) {
    if (!map_.defined()) {
      map_ = at::empty({band.size(0), band.size(1), height_, band.size(3)}, band.options(),
                       band.suggest_memory_format());
    }
    rows_of(map_, rows).copy_(band);
  }

  const at::Tensor& map() const { return map_; }

 private:
  int64_t height_;
  at::Tensor map_;
};

class BandDecoder {
 public:
  BandDecoder(const Autoencoder& vae, int64_t band_rows) : vae_(vae), band_rows_(band_rows) {}

  at::Tensor decode(at::Tensor x) {  // what the middle block makes
    std::vector<BandLayer> enlarge;
    for (const DecoderLevel& level : vae_.decoder.up_blocks) {
      sum_up(enlarge, x);
      for (const ResnetBlock& block : level.resnets) {
        x = resnet(block, enlarge, std::move(x));
        enlarge.clear();
      }
      if (level.upsample) enlarge = {enlargement(*level.upsample)};
      return_free_memory();  // the next level's maps are too large for where this one's lay
    }
    const MapNorm norm = norm_of(sums_, vae_.decoder.conv_norm_out);
    return run_in_bands({conv_layer(norm, vae_.decoder.conv_out)}, x, band_rows_);
  }

 private:
  MapNorm norm_of(const MapSums& sums, const Affine& affine) const {
    return sums.norm(affine.weight, affine.bias, vae_.config.norm_num_groups, kFluxNormEps);
  }

  static BandLayer enlargement(const Conv& conv) {
    return {[&conv](const at::Tensor& x) {
              return apply(
                  conv, at::upsample_nearest2d(x, at::IntArrayRef{2 * x.size(2), 2 * x.size(3)}));
            },
            1, 2};
  }

  static BandLayer conv_layer(const MapNorm& norm, const Conv& conv) {
    return {[norm, &conv](const at::Tensor& x) { return apply(conv, apply_silu(norm, x)); }, 1};
  }

  // sums_ of what `enlarge` makes of `x`.
  void sum_up(const std::vector<BandLayer>& enlarge, const at::Tensor& x) {
    sums_ = {};
    const int64_t height = enlarge.empty() ? x.size(2) : 2 * x.size(2);
    for_each_band(height, band_rows_, [&](Rows rows) { sums_.add(run_rows(enlarge, x, rows)); });
  }

  // x: the block's input or, where `enlarge` makes that of it, a smaller map. sums_ goes from the
  // input's to the output's.
  at::Tensor resnet(const ResnetBlock& block, const std::vector<BandLayer>& enlarge, at::Tensor x) {
    const int64_t height = enlarge.empty() ? x.size(2) : 2 * x.size(2);
    const bool is_in_place = enlarge.empty() && !block.conv_shortcut;
    const BandLayer first = conv_layer(norm_of(sums_, block.norm1), block.conv1);
    StoredMap hidden(height), shortcut(height);
    MapSums hidden_sums;
    for_each_band(height, band_rows_, [&](Rows rows) {
      const Rows wide = widen(rows, first.reach, height);
      const Rows inner = {rows.begin - wide.begin, rows.end - wide.begin};
      const at::Tensor input = run_rows(enlarge, x, wide);
      const at::Tensor band = rows_of(first.run(input), inner);
      hidden_sums.add(band);
      hidden.store(band, rows);
      if (is_in_place) return;
      const at::Tensor kept = rows_of(input, inner);
      shortcut.store(block.conv_shortcut ? apply(*block.conv_shortcut, kept) : kept, rows);
    });
    at::Tensor output = is_in_place ? std::move(x) : shortcut.map();
    x.reset();
    const BandLayer second = conv_layer(norm_of(hidden_sums, block.norm2), block.conv2);
    sums_ = {};
    for_each_band(height, band_rows_, [&](Rows rows) {
      at::Tensor band = rows_of(output, rows);
      band.add_(run_rows({second}, hidden.map(), rows));
      sums_.add(band);
    });
    return output;
  }

  const Autoencoder& vae_;
  int64_t band_rows_;
  MapSums sums_;  // of the map at hand
};

}  // namespace

at::Tensor decode_in_bands(const Autoencoder& vae, const at::Tensor& raw_latents,
                           int64_t band_rows) {
  return BandDecoder(vae, band_rows).decode(decode_middle(vae, raw_latents));
}

}  // namespace i1
