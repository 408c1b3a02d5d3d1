#include "i1/vae/bands.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace i1 {
namespace {

int64_t divide_down(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int64_t divide_up(int64_t a, int64_t b) { return -divide_down(-a, b); }

}  // namespace

Rows widen(Rows rows, int64_t reach, int64_t height) {
  return {std::max<int64_t>(rows.begin - reach, 0), std::min(rows.end + reach, height)};
}

at::Tensor rows_of(const at::Tensor& map, Rows rows) {
  return map.narrow(2, rows.begin, rows.size());
}

at::Tensor run_rows(const std::vector<BandLayer>& layers, const at::Tensor& map, Rows rows) {
  std::vector<Rows> needed = {rows};  // of each layer's input, then of the last one's output
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const Rows& output = needed.front();
    needed.insert(needed.begin(), {divide_down(output.begin - layer->reach, layer->scale),
                                   divide_up(output.end + layer->reach, layer->scale)});
  }
  int64_t height = map.size(2);
  Rows held = widen(needed.front(), 0, height);
  at::Tensor x = rows_of(map, held);
  for (size_t i = 0; i < layers.size(); ++i) {
    const int64_t scale = layers[i].scale;
    height *= scale;
    held = {held.begin * scale, held.end * scale};
    const Rows kept = widen(needed[i + 1], 0, height);
    x = rows_of(layers[i].run(x), {kept.begin - held.begin, kept.end - held.begin});
    held = kept;
  }
  return x;
}

void for_each_band(int64_t height, int64_t band_rows, const std::function<void(Rows)>& visit) {
  for (int64_t begin = 0; begin < height; begin += band_rows) {
    visit({begin, std::min(begin + band_rows, height)});
  }
}

at::Tensor run_in_bands(const std::vector<BandLayer>& layers, const at::Tensor& map,
                        int64_t band_rows) {
  int64_t scale = 1;
  for (const BandLayer& layer : layers) scale *= layer.scale;
  const int64_t height = map.size(2) * scale, width = map.size(3) * scale;
  at::Tensor output;
  for_each_band(height, band_rows, [&](Rows rows) {
    const at::Tensor band = run_rows(layers, map, rows);
    if (!output.defined()) {
      output = at::empty({band.size(0), band.size(1), height, width}, band.options());
    }
    rows_of(output, rows).copy_(band);
  });
  return output;
}

}  // namespace i1
