// What goldens/vae does not show: the scaling's index, FLUX.2's own convolutions, bytes, and what
// wrong files get.
#include "i1/vae/vae.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "i1/core/files.h"
#include "i1/core/testing.h"
#include "i1/io/safetensors.h"
#include "i1/vae/conv.h"
#include "i1/vae/latent_scaling.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr const char* kTaef2 = "weights/taef2/taef2.safetensors";

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// Latent scaling.

TEST(LatentScaling, AStatisticBelongsToAChannelAndAPlaceInA2x2Cell) {
  constexpr int64_t C = 3, height = 4, width = 6;
  const LatentStatistics statistics{at::arange(4 * C, at::kFloat),
                                    at::arange(4 * C, at::kFloat) + 1};
  const at::Tensor zeros = at::zeros({2, C, height, width});
  const at::Tensor means = denormalize_latents(zeros, statistics);
  const at::Tensor sums = denormalize_latents(zeros + 1, statistics);
  for (int64_t c = 0; c < C; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const float k = static_cast<float>(4 * c + 2 * (y % 2) + x % 2);
        EXPECT_EQ(means[1][c][y][x].item<float>(), k);
        EXPECT_EQ(sums[1][c][y][x].item<float>(), 2 * k + 1);
      }
    }
  }
}

TEST(LatentScaling, NormalisingAndDenormalisingUndoEachOther) {
  at::manual_seed(0);
  for (const LatentStatistics* statistics :
       {&flux2_latent_statistics(), &flux1_latent_statistics()}) {
    const int64_t C = statistics == &flux1_latent_statistics() ? 16 : 32;
    const at::Tensor z = at::randn({2, C, 6, 10});
    const at::Tensor raw = denormalize_latents(z, *statistics);
    // Each of the four operations rounds once; a rounding of raw + mean weighs 1 / std.
    const double shift = (statistics->mean / statistics->std).abs().max().item<double>();
    const double bound = 4 * kEpsilon * (z.abs().max().item<double>() + shift);
    EXPECT_LE(largest_difference(normalize_latents(raw, *statistics), z), bound);
    EXPECT_GT(largest_difference(raw, z), 0.1);
  }
}

TEST(LatentScaling, HasTheStatisticsOfThePublishedAutoencoders) {
  EXPECT_EQ(flux2_latent_statistics().mean.sizes(), (at::IntArrayRef{128}));
  EXPECT_GE(flux2_latent_statistics().std.min().item<double>(), 0.01);  // sqrt(1e-4), at least
  const at::Tensor raw = at::full({1, 16, 2, 2}, 1.1159);
  const at::Tensor flux1 = normalize_latents(raw, flux1_latent_statistics());
  EXPECT_LE(largest_difference(flux1, at::full_like(raw, 0.3611)), 4 * kEpsilon);
}

TEST(LatentScaling, StatisticsByChannelTakeAnySize) {
  const LatentStatistics statistics{at::tensor({1.0f, 2.0f}), at::tensor({3.0f, 4.0f})};
  const at::Tensor raw = denormalize_latents(at::ones({1, 2, 3, 1}), statistics);
  EXPECT_TRUE(at::equal(raw[0][0], at::full({3, 1}, 4.0f)));
  EXPECT_TRUE(at::equal(raw[0][1], at::full({3, 1}, 6.0f)));
  EXPECT_TRUE(at::equal(normalize_latents(raw, statistics), at::ones({1, 2, 3, 1})));
}

TEST(LatentScaling, LatentsOfAnotherShapeAreRefused) {
  const LatentStatistics& statistics = flux2_latent_statistics();
  expect_error("expected 32 channels and an even height and width", [&] {
    normalize_latents(at::zeros({1, 16, 4, 4}), statistics);
  });
  expect_error("latents are [1, 32, 3, 4]", [&] {
    denormalize_latents(at::zeros({1, 32, 3, 4}), statistics);
  });
  expect_error("latents are [1, 32, 4, 5]", [&] {
    denormalize_latents(at::zeros({1, 32, 4, 5}), statistics);
  });
}

// FLUX autoencoders.

AutoencoderConfig tiny_config() {
  AutoencoderConfig config;
  config.block_out_channels = {4, 8, 8, 8};
  config.layers_per_block = 1;
  config.latent_channels = 4;
  config.norm_num_groups = 2;
  return config;
}

Autoencoder random_autoencoder() {
  at::manual_seed(0);
  Autoencoder vae = make_autoencoder(tiny_config());
  for_each_tensor(vae, "", [](const std::string&, at::Tensor& tensor) {
    const double fan_in = static_cast<double>(tensor.numel() / tensor.size(0));
    tensor = at::randn(tensor.sizes()) / std::sqrt(fan_in);
  });
  return vae;
}

TEST(Autoencoder, FullSizesHaveThePublishedTensors) {
  const auto count = [](const AutoencoderConfig& config) {
    Autoencoder vae = make_autoencoder(config);
    std::pair<int64_t, int64_t> tensors_and_values;
    for_each_tensor(vae, "", [&](const std::string&, at::Tensor& tensor) {
      ++tensors_and_values.first;
      tensors_and_values.second += tensor.numel();
    });
    return tensors_and_values;
  };
  // FLUX.2's file also has three tensors of latent statistics.
  EXPECT_EQ(count({}), (std::pair<int64_t, int64_t>{248, 84046115}));
  AutoencoderConfig flux1;
  flux1.latent_channels = 16;
  flux1.use_quant_conv = flux1.use_post_quant_conv = false;
  EXPECT_EQ(count(flux1), (std::pair<int64_t, int64_t>{244, 83819683}));
}

TEST(Autoencoder, QuantConvolutionsStandBetweenTheNetsAndTheMoments) {
  const Autoencoder vae = random_autoencoder();
  Autoencoder plain = vae;
  plain.quant_conv.reset();
  plain.post_quant_conv.reset();
  const at::Tensor images = at::rand({2, 3, 16, 24}) * 2 - 1;
  const Moments moments = encode(vae, images), before = encode(plain, images);
  ASSERT_EQ(moments.mean.sizes(), (at::IntArrayRef{2, 4, 2, 3}));
  ASSERT_LT(before.log_variance.abs().max().item<double>(), 20);  // not clamped, or all is lost
  const at::Tensor after = at::conv2d(at::cat({before.mean, before.log_variance}, 1),
                                      vae.quant_conv->weight, vae.quant_conv->bias);
  // The same products in sums of eight.
  const double bound = 16 * kEpsilon * after.abs().max().item<double>();
  EXPECT_LE(largest_difference(moments.mean, after.narrow(1, 0, 4)), bound);
  EXPECT_LE(largest_difference(moments.log_variance, after.narrow(1, 4, 4)), bound);
  EXPECT_GT(largest_difference(moments.mean, before.mean), 0.1);

  const at::Tensor z = at::randn({2, 4, 2, 3});
  const at::Tensor mapped = apply(*vae.post_quant_conv, z);
  const at::Tensor plainly = at::conv2d(z, vae.post_quant_conv->weight, vae.post_quant_conv->bias);
  EXPECT_LE(largest_difference(mapped, plainly),
            8 * kEpsilon * plainly.abs().max().item<double>());  // sums of four products
  EXPECT_TRUE(at::equal(decode(vae, z), decode(plain, mapped)));
}

TEST(Autoencoder, LogVariancesAreClampedAndScaleTheNoise) {
  const at::Tensor moments = at::tensor({1.0, 2.0, -100.0, 100.0}, at::kFloat).view({1, 4, 1, 1});
  const Moments split = split_moments(moments);
  EXPECT_TRUE(at::equal(split.mean.flatten(), at::tensor({1.0, 2.0}, at::kFloat)));
  EXPECT_TRUE(at::equal(split.log_variance.flatten(), at::tensor({-30.0, 20.0}, at::kFloat)));
  const at::Tensor drawn = sample(split, at::ones({1, 2, 1, 1})).flatten();
  EXPECT_FLOAT_EQ(drawn[0].item<float>(), 1 + std::exp(-15.0f));
  EXPECT_FLOAT_EQ(drawn[1].item<float>(), 2 + std::exp(10.0f));
}

TEST(Vae, AFluxFolderEncodesToNormalisedLatents) {
  const Vae vae = Vae::load("goldens/vae/flux1_tiny");
  EXPECT_EQ(vae.name(), "FLUX.1");
  EXPECT_EQ(vae.latent_channels(), 16);
  const TensorMap cases = read_safetensors("goldens/vae/flux1_tiny/cases.safetensors").tensors;
  constexpr double kTolerance = 1e-4;  // goldens/vae/README.md
  const auto normalised = [](const at::Tensor& raw) { return (raw - 0.1159) * 0.3611; };
  const at::Tensor &image = cases.at("b.image"), &noise = cases.at("b.noise");
  EXPECT_LE(largest_difference(vae.encode(image), normalised(cases.at("b.mean"))), kTolerance);
  EXPECT_LE(largest_difference(vae.encode(image, noise), normalised(cases.at("b.sample"))),
            kTolerance);
  EXPECT_LE(
      largest_difference(vae.decode(normalised(cases.at("b.mean"))), cases.at("b.decode_mode")),
      kTolerance);
}

// TAEF2.

// Slow waves of colour, (1, 3, height, width) in [-1, 1].
at::Tensor smooth_picture(int64_t height, int64_t width) {
  const at::Tensor y = at::arange(height, at::kFloat).view({-1, 1}) / 64;
  const at::Tensor x = at::arange(width, at::kFloat).view({1, -1}) / 64;
  return at::stack({at::sin(3 * x + y), at::cos(2 * y - x), at::sin(2 * x * y + 1)}).unsqueeze(0) *
         0.8;
}

double psnr(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor difference =
      to_bytes(found).to(at::kDouble) - to_bytes(expected).to(at::kDouble);
  return 10 * std::log10(255 * 255 / difference.square().mean().item<double>());
}

TEST(Taef2, ASmoothPictureSurvives) {
  const Vae vae = Vae::load(kTaef2);
  EXPECT_EQ(vae.name(), "TAEF2");
  EXPECT_EQ(vae.latent_channels(), 32);
  const at::Tensor picture = smooth_picture(96, 128);
  const at::Tensor latents = vae.encode(picture);
  ASSERT_EQ(latents.sizes(), (at::IntArrayRef{1, 32, 12, 16}));
  const double quality = psnr(vae.decode(latents), picture);
  RecordProperty("psnr_db", std::to_string(quality));
  // 25.2 to 31.9 dB on real pictures (goldens/vae/README.md); this one, without detail, has 29.6.
  EXPECT_GE(quality, 25);
  // Its latents are the normalised ones already: scaling them costs some 10 dB on real pictures.
  const at::Tensor scaled = denormalize_latents(latents, flux2_latent_statistics());
  EXPECT_LE(psnr(vae.decode(scaled), picture), quality - 6);
}

TEST(Taef2, SizesThatAreNoMultipleOfEightAreRefused) {
  const Vae vae = Vae::load(kTaef2);
  expect_error("images are [1, 3, 8, 12]", [&] { vae.encode(at::zeros({1, 3, 8, 12})); });
  expect_error("multiples of 8", [&] { vae.encode(at::zeros({1, 3, 9, 8})); });
}

// All autoencoders.

TEST(Vae, ThreadsAndBatchSizesDoNotMoveABit) {
  const int before = at::get_num_threads();
  const auto expect_same = [](const char* path, at::ScalarType dtype) {
    at::manual_seed(0);
    const Vae vae = Vae::load(path, at::kCPU, dtype);
    for (const int64_t side : {2, 4, dtype == at::kFloat ? 24 : 9}) {
      const at::Tensor latents = at::randn({2, vae.latent_channels(), side, side});
      at::set_num_threads(1);
      const at::Tensor pictures = vae.decode(latents), encoded = vae.encode(pictures);
      for (const int threads : {1, 2, 3}) {
        SCOPED_TRACE(
            concat(path, " in ", c10::toString(dtype), ", side ", side, ", ", threads, " threads"));
        at::set_num_threads(threads);
        EXPECT_TRUE(at::equal(vae.decode(latents), pictures));
        EXPECT_TRUE(at::equal(vae.encode(pictures), encoded));
        for (int64_t i = 0; i < 2; ++i) {
          EXPECT_TRUE(at::equal(vae.decode(latents.narrow(0, i, 1))[0], pictures[i])) << "alone";
          EXPECT_TRUE(at::equal(vae.encode(pictures.narrow(0, i, 1))[0], encoded[i])) << "alone";
        }
      }
    }
  };
  for (const char* path : {kTaef2, "goldens/vae/flux1_tiny", "goldens/vae/qwen_tiny"}) {
    expect_same(path, at::kFloat);
    expect_same(path, at::kBFloat16);
  }
  at::set_num_threads(before);
}

// Bytes.

TEST(Bytes, HalvesGoToTheEvenNeighbour) {
  // Floats at and beside the middle between two bytes; those that land on it exactly count.
  std::vector<float> pixels;
  std::vector<uint8_t> expected;
  for (int byte = 0; byte < 255; ++byte) {
    float x = static_cast<float>((byte + 0.5) / 255 * 2 - 1);
    for (int i = 0; i < 4; ++i) x = std::nextafter(x, -2.0f);
    for (int i = 0; i < 9; ++i, x = std::nextafter(x, 2.0f)) {
      const float unit = x / 2 + 0.5f, scaled = unit * 255;
      if (scaled != static_cast<float>(byte) + 0.5f) continue;
      pixels.push_back(x);
      expected.push_back(static_cast<uint8_t>(byte + byte % 2));
    }
  }
  ASSERT_GT(pixels.size(), 100u);  // of both kinds: down from even bytes, up from odd ones
  const int64_t n = static_cast<int64_t>(pixels.size());
  const at::Tensor found = to_bytes(at::tensor(pixels, at::kFloat).view({1, 1, 1, n}));
  EXPECT_TRUE(at::equal(found.flatten(), at::tensor(expected, at::kByte)));
}

TEST(Bytes, PixelsBeyondTheRangeAreClampedAndChannelsComeLast) {
  const at::Tensor pixels = at::tensor({-5.0, -1.0, 1.0, 5.0, 0.0, 0.2}, at::kFloat);
  const at::Tensor bytes = to_bytes(pixels.view({1, 3, 1, 2}));
  ASSERT_EQ(bytes.sizes(), (at::IntArrayRef{1, 1, 2, 3}));
  // 127.5 goes to 128, 153 is met exactly.
  EXPECT_TRUE(at::equal(bytes.flatten(), at::tensor({0, 255, 128, 0, 255, 153}, at::kByte)));
}

TEST(Bytes, EveryByteComesBackFromItsPixel) {
  const at::Tensor bytes =
      at::arange(0, 256).to(at::kByte).view({1, 16, 16, 1}).repeat({1, 1, 1, 3});
  const at::Tensor pixels = to_pixels(bytes);
  EXPECT_EQ(pixels.min().item<float>(), -1);
  EXPECT_EQ(pixels.max().item<float>(), 1);
  EXPECT_TRUE(at::equal(to_bytes(pixels), bytes));
}

// Wrong files.

TEST(Vae, WhatIsNoAutoencoderIsRefusedInOneLine) {
  const TemporaryFolder folder("vae_test");
  const auto write = [&](const std::string& name, const std::string& text) {
    write_file_atomically(folder.path() / name, text);
    return folder.path() / name;
  };
  expect_error("nothing/here: no such file or folder", [] { Vae::load("nothing/here"); });
  expect_error("i1/vae: neither config.json nor taef2.safetensors", [] { Vae::load("i1/vae"); });
  const fs::path text = write("text.safetensors", "a file of words\nand lines\n");
  expect_error(text.string() + ": ", [&] { Vae::load(text); });
  const fs::path other = folder.path() / "other.safetensors";
  write_safetensors(other, {{"encoder.0.weight", at::zeros({64, 3, 3, 3})}});
  expect_error(other.string() + ": no autoencoder, it has no tensor decoder.*",
               [&] { Vae::load(other); });
  TensorMap shape = read_safetensors(kTaef2).tensors;
  shape["decoder.19.bias"] = at::zeros({4});
  write_safetensors(other, shape);
  expect_error("tensor \"decoder.19.bias\" has shape [4], expected [3]", [&] { Vae::load(other); });
}

TEST(Vae, AFolderOfAnotherAutoencoderIsRefusedByItsClass) {
  const TemporaryFolder folder("vae_test");
  const auto refuses = [&](const std::string& config, const std::string& expected) {
    write_file_atomically(folder.path() / "config.json", config);
    expect_error((folder.path() / "config.json").string() + ": " + expected,
                 [&] { Vae::load(folder.path()); });
  };
  refuses("[1]", "not a JSON object");
  refuses("{\"_class_name\": \"AutoencoderTiny\"}",
          "_class_name is \"AutoencoderTiny\"; expected AutoencoderKLFlux2, AutoencoderKL or "
          "AutoencoderKLQwenImage");
  refuses("{}", "_class_name is \"\"");
  refuses("{\"_class_name\": \"AutoencoderKL\", \"latent_channels\": \"many\"}",
          "field \"latent_channels\" cannot be \"many\"");
}

}  // namespace
}  // namespace i1
