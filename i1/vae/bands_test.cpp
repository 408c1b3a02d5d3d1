// Decoding in bands of rows beside decoding at once and beside the goldens: sizes that bands do not
// divide, bands of one row, bands larger than the map, and what a limit of memory chooses.
#include "i1/vae/bands.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>

#include "i1/core/testing.h"
#include "i1/io/safetensors.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

// goldens/vae/README.md: between two float32 implementations. A step of a byte is 7.8e-3.
constexpr double kTolerance = 1e-4;
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr const char* kVaes[] = {"weights/taef2", "goldens/vae/flux1_tiny",
                                 "goldens/vae/qwen_tiny"};

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

at::Tensor decode_in(int64_t band_rows, const Vae& vae, const at::Tensor& latents) {
  return vae.decode(latents, {.memory_bytes = kNoLimit, .band_rows = band_rows});
}

TEST(Bands, EveryRowIsInOneBand) {
  for (int64_t height = 1; height < 8; ++height) {
    for (int64_t band_rows = 1; band_rows < 10; ++band_rows) {
      int64_t next = 0;
      for_each_band(height, band_rows, [&](Rows rows) {
        EXPECT_EQ(rows.begin, next);
        EXPECT_GE(rows.size(), 1);
        EXPECT_LE(rows.size(), band_rows);
        next = rows.end;
      });
      EXPECT_EQ(next, height);
    }
  }
}

TEST(Bands, LayersSeeTheRowsBesideABandAndZerosBesideTheMap) {
  at::manual_seed(0);
  // Whole numbers: sums are exact in any order.
  const auto whole = [](at::IntArrayRef shape) {
    return at::randint(-4, 5, shape, at::TensorOptions(at::kFloat));
  };
  const at::Tensor first = whole({2, 3, 5, 5}), second = whole({1, 2, 3, 3});
  const std::vector<BandLayer> layers = {
      {[&](const at::Tensor& x) { return at::conv2d(x, first, {}, 1, 2); }, 2},
      {[&](const at::Tensor& x) {
         const at::Tensor large =
             at::upsample_nearest2d(x, at::IntArrayRef{2 * x.size(2), 2 * x.size(3)});
         return at::conv2d(large, second, {}, 1, 1);
       },
       1, 2}};
  for (const int64_t height : {1, 2, 3, 8, 11}) {
    const at::Tensor map = whole({2, 3, height, 6});
    const at::Tensor expected = layers[1].run(layers[0].run(map));
    for (int64_t band_rows = 1; band_rows <= 2 * height + 1; ++band_rows) {
      EXPECT_TRUE(at::equal(run_in_bands(layers, map, band_rows), expected))
          << height << " rows by " << band_rows;
    }
  }
}

TEST(Bands, DecodersGiveWhatTheyGiveAtOnce) {
  for (const char* path : kVaes) {
    const Vae vae = Vae::load(path);
    at::manual_seed(0);
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {2, 9}, {5, 3}}) {
      const at::Tensor latents = at::randn({2, vae.latent_channels(), height, width});
      const at::Tensor expected = vae.decode(latents, {.memory_bytes = kNoLimit});
      for (const int64_t band_rows : {1, 7, 16, 1000}) {
        EXPECT_LE(largest_difference(decode_in(band_rows, vae, latents), expected), kTolerance)
            << path << ", " << height << " x " << width << " by " << band_rows;
      }
    }
  }
}

TEST(Bands, DecodersMeetTheirGoldens) {
  for (const std::string path : {"goldens/vae/flux1_tiny", "goldens/vae/qwen_tiny"}) {
    const Vae vae = Vae::load(path);
    const TensorMap cases = read_safetensors(path + "/cases.safetensors").tensors;
    const at::Tensor& latents = cases.at("i1.b.z");
    for (const int64_t band_rows : {1, 7, 32, 48}) {
      EXPECT_LE(largest_difference(decode_in(band_rows, vae, latents), cases.at("i1.b.decoded")),
                kTolerance)
          << path << " by " << band_rows;
    }
  }
  const Vae taef2 = Vae::load("weights/taef2");
  const TensorMap cases = read_safetensors("goldens/vae/taef2/cases.safetensors").tensors;
  const at::Tensor expected = cases.at("small.decoded") * 2 - 1;
  for (const int64_t band_rows : {1, 7})
    EXPECT_LE(largest_difference(decode_in(band_rows, taef2, cases.at("small.latent")), expected),
              kTolerance);
}

TEST(Bands, ThreadsDoNotMoveABit) {
  const int before = at::get_num_threads();
  for (const char* path : kVaes) {
    const Vae vae = Vae::load(path);
    const at::Tensor latents = at::randn({1, vae.latent_channels(), 14, 18});
    at::set_num_threads(1);
    const at::Tensor picture = decode_in(12, vae, latents);
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      EXPECT_TRUE(at::equal(decode_in(12, vae, latents), picture)) << path << ", " << threads;
    }
  }
  at::set_num_threads(before);
}

TEST(Bands, Bfloat16LosesNoMoreThanAtOnce) {
  for (const char* path : kVaes) {
    at::manual_seed(0);
    const Vae exact = Vae::load(path), vae = Vae::load(path, at::kCPU, at::kBFloat16);
    const at::Tensor latents = at::randn({1, vae.latent_channels(), 6, 4});
    const at::Tensor expected = decode_in(0, exact, latents);
    const auto error = [&](int64_t band_rows) {
      return (decode_in(band_rows, vae, latents) - expected).square().mean().sqrt().item<double>();
    };
    EXPECT_LE(error(8), 2 * error(0)) << path;
  }
}

// The limit.

TEST(DecodeLimits, BandsAreTakenOnlyWhereTheWholeDoesNotFit) {
  for (const char* path : kVaes) {
    const Vae vae = Vae::load(path);
    at::manual_seed(0);
    const at::Tensor latents = at::randn({1, vae.latent_channels(), 20, 2});
    const int64_t whole = vae.decode_bytes(latents.sizes()),
                  bands = vae.decode_bytes(latents.sizes(), kBandRows);
    ASSERT_LT(bands, whole);
    const at::Tensor expected = decode_in(0, vae, latents);
    EXPECT_TRUE(at::equal(vae.decode(latents, {.memory_bytes = whole}), expected)) << path;
    EXPECT_TRUE(at::equal(vae.decode(latents), expected)) << path;  // this machine has so much
    const at::Tensor banded = decode_in(kBandRows, vae, latents);
    EXPECT_TRUE(at::equal(vae.decode(latents, {.memory_bytes = whole - 1}), banded)) << path;
    EXPECT_TRUE(at::equal(vae.decode(latents, {.memory_bytes = bands}), banded)) << path;
    expect_error("decoding 160 x 16 pixels (height x width): needs about ",
                 [&] { vae.decode(latents, {.memory_bytes = bands - 1}); });
  }
}

TEST(DecodeLimits, AMistakeIsNamed) {
  const Vae vae = Vae::load("weights/taef2");
  const at::Tensor latents = at::zeros({1, 32, 2, 2});
  expect_error("in bands of 32 rows, the limit is 0 MiB; raise it or make a smaller picture",
               [&] { vae.decode(latents, {.memory_bytes = 0}); });
  expect_error("band_rows is -1, expected 0 or more",
               [&] { vae.decode(latents, {.band_rows = -1}); });
}

TEST(DecodeLimits, BytesGrowWithThePictureAndHalveInBfloat16) {
  const Vae vae = Vae::load("goldens/vae/flux1_tiny"),
            half = Vae::load("goldens/vae/flux1_tiny", at::kCPU, at::kBFloat16);
  const std::vector<int64_t> small = {1, 16, 64, 64}, large = {2, 16, 64, 128};
  EXPECT_EQ(vae.decode_bytes(large), 4 * vae.decode_bytes(small));
  EXPECT_EQ(half.decode_bytes(small), vae.decode_bytes(small) / 2);
  EXPECT_LT(vae.decode_bytes(large, 16), vae.decode_bytes(large, 64));
}

}  // namespace
}  // namespace i1
