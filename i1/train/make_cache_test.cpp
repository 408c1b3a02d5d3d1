// Latent caches from pictures and captions, and the tokenizer that is learned from them.
#include "i1/train/make_cache.h"

#include "i1/core/memory.h"
#include "i1/data/fuzzed_records.h"
#include "i1/text/t5gemma.h"
#include "i1/text/tokenizer.h"
#include "i1/train/train_testing.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVae = "weights/taef2";
constexpr int64_t kCount = 35;  // more than go through the autoencoder at once

// Half of picture i is of one grey, half of another; its captions: one of its own, one of four.
Example example(int64_t i) {
  Image image = flat_picture(static_cast<int>(5 * i), 16);
  std::fill(image.pixels.begin(), image.pixels.begin() + 16 * 8 * 3,
            static_cast<uint8_t>(255 - 7 * i));
  return {encode_png(image),
          16,
          16,
          3,
          {"picture " + std::to_string(i), "kind " + std::to_string(i % 4)},
          "name " + std::to_string(i)};
}

std::vector<std::string> payloads(int64_t count) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < count; ++i) all.push_back(serialize(example(i)));
  return all;
}

// FOLDER/set: records, FOLDER/tokenizer: learned from them; the cache goes to FOLDER/cache.
MakeCacheOptions options_in(const fs::path& folder, const std::vector<std::string>& records) {
  write_payloads(folder / "set", records);
  make_tokenizer({folder / "set"}, 400, folder / "tokenizer");
  MakeCacheOptions options;
  options.source = folder / "set";
  options.output = folder / "cache";
  options.vae = kVae;
  options.tokenizer = folder / "tokenizer";
  options.resolution = 16;
  options.num_text_tokens = 4;
  return options;
}

std::string said_while(const std::function<void()>& run) {
  ::testing::internal::CaptureStderr();
  run();
  return ::testing::internal::GetCapturedStderr();
}

TEST(MakeCache, HoldsWhatAutoencoderAndTokenizerGive) {
  const fs::path folder = fresh_folder("make_cache");
  const MakeCacheOptions options = options_in(folder, payloads(kCount));
  EXPECT_EQ(make_cache(options, at::kCPU), kCount);
  const LatentCache cache = LatentCache::open(options.output);
  ASSERT_EQ(cache.size(), kCount);
  EXPECT_EQ(cache.origin().resolution, 16);
  EXPECT_EQ(cache.origin().num_text_tokens, 4);
  EXPECT_EQ(cache.origin().tokenizer, file_digest(options.tokenizer / "tokenizer.json"));
  EXPECT_EQ(cache.origin().source, source_digest(options.source));
  EXPECT_EQ(cache.num_distinct_captions(), kCount + 4);
  EXPECT_FALSE(cache.has_text_states());
  const Vae vae = Vae::load(kVae);
  const Tokenizer tokenizer = load_tokenizer(options.tokenizer);
  for (int64_t i = 0; i < kCount; ++i) {
    SCOPED_TRACE(i);
    const Example stored = example(i);
    const Image image = decode_picture(stored, "here");
    const at::Tensor pixels = to_pixels(
        at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {1, 16, 16, 3}, at::kByte));
    const at::Tensor expected = vae.encode(pixels)[0], found = cache.latent(i).to(at::kFloat);
    EXPECT_EQ(found.sizes(), expected.sizes());
    // Stored as bfloat16, which rounds by 2^-9.
    EXPECT_LE((found - expected).norm().item<double>(), expected.norm().item<double>() / 256);
    EXPECT_EQ(cache.image_name(i), stored.image_name);
    ASSERT_EQ(cache.num_captions(i), 2);
    for (int64_t c = 0; c < 2; ++c) {
      EXPECT_EQ(cache.token_ids(cache.caption(i, c)), tokenizer.encode(stored.captions[c], 4));
    }
  }
}

TEST(MakeCache, TakesTheFirstExamplesAndScalesTheirPictures) {
  const fs::path folder = fresh_folder("first");
  MakeCacheOptions options = options_in(folder, payloads(5));
  options.max_examples = 3;
  options.resolution = 32;
  EXPECT_EQ(make_cache(options, at::kCPU), 3);
  const LatentCache cache = LatentCache::open(options.output);
  EXPECT_EQ(cache.size(), 3);
  EXPECT_EQ(cache.latent_shape(), (std::vector<int64_t>{32, 4, 4}));
  EXPECT_EQ(cache.image_name(2), "name 2");
}

TEST(MakeCache, APictureGoesIntoTheBucketThatCutsLeastOfIt) {
  const auto picture = [](int width, int height) {
    Example wide = example(width + height);
    const Image image = make_image(width, height);
    wide.png = encode_png(image);
    wide.width = width;
    wide.height = height;
    return serialize(wide);
  };
  MakeCacheOptions options =
      options_in(fresh_folder("buckets"),
                 {picture(100, 60), picture(64, 64), picture(30, 50), picture(90, 91)});
  options.resolution = 64;
  options.buckets = usual_buckets(64);  // 48 x 80, 64 x 64, 80 x 48
  EXPECT_EQ(make_cache(options, at::kCPU), 4);
  const LatentCache cache = LatentCache::open(options.output);
  EXPECT_EQ(cache.origin().buckets, options.buckets);
  EXPECT_EQ(cache.latent_shape(0), (std::vector<int64_t>{32, 10, 6}));
  EXPECT_EQ(cache.latent_shape(1), (std::vector<int64_t>{32, 8, 8}));
  EXPECT_EQ(cache.latent_shape(2), (std::vector<int64_t>{32, 6, 10}));
  EXPECT_EQ(cache.bucket_size(1), 2);
  EXPECT_EQ(cache.image_name(cache.example_of(0, 0)), "name 80");
  EXPECT_EQ(cache.image_name(cache.example_of(0, 2)), "name 160");
}

TEST(MakeCache, AnExampleWithoutCaptionIsTaken) {
  Example plain = example(1);
  plain.captions.clear();
  const MakeCacheOptions options =
      options_in(fresh_folder("plain"), {serialize(example(0)), serialize(plain)});
  EXPECT_EQ(make_cache(options, at::kCPU), 2);
  EXPECT_EQ(LatentCache::open(options.output).num_captions(1), 0);
}

TEST(MakeCache, WhatCannotBeUsedIsCountedByReasonAndLeftOut) {
  std::vector<std::string> records = payloads(4);
  Example broken = example(9);
  broken.png.resize(broken.png.size() / 2);
  records[1] = serialize(broken);
  broken = example(9);
  broken.captions = {"\xff"};
  records[3] = serialize(broken);
  const fs::path folder = fresh_folder("left_out");
  MakeCacheOptions options;
  const std::string said = said_while([&] {
    options = options_in(folder, records);
    EXPECT_EQ(make_cache(options, at::kCPU), 2);
  });
  EXPECT_NE(said.find("picture does not decode: 1, the first: "), std::string::npos) << said;
  EXPECT_NE(said.find("caption is not UTF-8: 1, the first: "), std::string::npos) << said;
  EXPECT_EQ(LatentCache::open(options.output).image_name(1), "name 2");
}

TEST(MakeCache, TooManyBadRecordsStopItAndLeaveNothing) {
  std::vector<std::string> records = payloads(12);
  for (size_t i = 1; i < records.size(); ++i) records[i] = "not an example";
  const fs::path folder = fresh_folder("too_many");
  write_payloads(folder / "good", payloads(1));
  said_while([&] {
    MakeCacheOptions options = options_in(folder, payloads(1));
    write_payloads(folder / "set", records);
    expect_error("11 of 12 records cannot be used, more than the limit of 1 %",
                 [&] { make_cache(options, at::kCPU); });
    EXPECT_FALSE(fs::exists(options.output));
    EXPECT_FALSE(fs::exists(options.output.string() + ".partial"));
    options.max_bad_fraction = 0.02;
    EXPECT_EQ(make_cache(options, at::kCPU), 1);
  });
}

TEST(MakeCache, OfFuzzedRecordsHoldsTheGoodOnes) {
  const fs::path folder = fresh_folder("fuzzed_cache");
  MakeCacheOptions options = options_in(folder, payloads(1));
  fs::remove_all(options.source);
  const FuzzedRecords expected = write_fuzzed_records(options.source, 6, 250, 16, /*seed=*/2);
  const int64_t num_silent = expected.bad.at("no caption");  // which a cache takes
  options.max_bad_fraction = 0.9;
  int64_t count = 0;
  const int64_t before = peak_memory();
  const std::string said = said_while([&] { count = make_cache(options, at::kCPU); });
  EXPECT_LT(peak_memory() - before, 256 << 20);
  EXPECT_EQ(count, static_cast<int64_t>(expected.good.size()) + num_silent);
  for (const auto& [reason, number] : expected.bad) {
    if (reason == "no caption") continue;
    EXPECT_NE(said.find(concat(reason, ": ", number, ", the first: ")), std::string::npos) << said;
  }
  const LatentCache cache = LatentCache::open(options.output);
  int64_t num_good = 0;
  for (int64_t i = 0; i < cache.size(); ++i)
    num_good += expected.good.contains(cache.image_name(i));
  EXPECT_EQ(num_good, static_cast<int64_t>(expected.good.size()));

  options.output = folder / "stopped";
  options.max_bad_fraction = 0.1;
  said_while([&] {
    expect_error("more than the limit of 10 % (--max-bad-fraction); worst: " +
                     options.source.string() + " with ",
                 [&] { make_cache(options, at::kCPU); });
  });
  EXPECT_FALSE(fs::exists(options.output));
}

TEST(MakeCache, WrongRequestsGetOneLine) {
  const MakeCacheOptions good = options_in(fresh_folder("wrong"), payloads(1));
  const auto refuses = [&](const std::string& expected, auto&& change) {
    MakeCacheOptions options = good;
    change(options);
    expect_error(expected, [&] { make_cache(options, at::kCPU); });
    EXPECT_FALSE(fs::exists(good.output));
  };
  refuses("nowhere", [](MakeCacheOptions& options) { options.source = "nowhere"; });
  refuses("nowhere", [](MakeCacheOptions& options) { options.vae = "nowhere"; });
  refuses("nowhere", [](MakeCacheOptions& options) { options.tokenizer = "nowhere"; });
  fs::create_directory(good.output);
  write_file_atomically(good.output / "mine", "words");
  expect_error(good.output.string(), [&] { make_cache(good, at::kCPU); });
  EXPECT_EQ(read_file(good.output / "mine"), "words");
}

T5GemmaConfig small_encoder() {
  T5GemmaConfig config = testing::small_run().text.config;
  config.vocab_size = 400;
  return config;
}

TEST(CacheTextStates, AreThoseOfTheEncoderAndAreReplaced) {
  const fs::path folder = fresh_folder("states");
  const MakeCacheOptions options = options_in(folder, payloads(5));
  make_cache(options, at::kCPU);
  for (const uint64_t seed : {1, 2}) {
    const fs::path encoder_folder = folder / ("encoder" + std::to_string(seed));
    fs::create_directory(encoder_folder);
    save_t5gemma(init_t5gemma(small_encoder(), RandomStream{seed}), encoder_folder);
    cache_text_states(options.output, encoder_folder, at::kCPU);
    const T5GemmaEncoder encoder = load_t5gemma(encoder_folder);
    const LatentCache cache = LatentCache::open(options.output);
    EXPECT_EQ(cache.origin().text_encoder, file_digest(encoder_folder));
    ASSERT_TRUE(cache.has_text_states());
    for (int64_t caption = 0; caption < cache.num_distinct_captions(); ++caption) {
      const PackedText text = encode_text(encoder, {cache.token_ids(caption)}, 4);
      const at::Tensor expected = text.hidden.narrow(0, 0, text.prompts[0].num_tokens);
      const at::Tensor found = cache.text_states(caption).to(at::kFloat);
      ASSERT_EQ(found.sizes(), expected.sizes());
      EXPECT_LE((found - expected).norm().item<double>(), expected.norm().item<double>() / 256);
    }
    const at::Tensor padding = encode_text(encoder, {{}}, 4).hidden[0];
    EXPECT_LE((cache.padding_state().to(at::kFloat) - padding).norm().item<double>(),
              padding.norm().item<double>() / 256);
  }
}

TEST(CacheTextStates, AWrongFolderLeavesTheCacheAsItWas) {
  const fs::path folder = fresh_folder("no_states");
  const MakeCacheOptions options = options_in(folder, payloads(1));
  make_cache(options, at::kCPU);
  expect_error("nowhere", [&] { cache_text_states(options.output, "nowhere", at::kCPU); });
  T5GemmaConfig config = small_encoder();
  config.vocab_size = 8;
  fs::create_directory(folder / "encoder");
  save_t5gemma(init_t5gemma(config, RandomStream{1}), folder / "encoder");
  expect_error("vocabulary",
               [&] { cache_text_states(options.output, folder / "encoder", at::kCPU); });
  EXPECT_FALSE(LatentCache::open(options.output).has_text_states());
  expect_error("no_cache",
               [&] { cache_text_states(folder / "no_cache", folder / "encoder", at::kCPU); });
}

TEST(MakeTokenizer, LearnsFromAllSets) {
  const fs::path folder = fresh_folder("tokenizer");
  const auto set_of = [&](const std::string& name, const std::string& caption) {
    Example one = example(0);
    one.captions = {caption, caption};
    return write_payloads(folder / name, {serialize(one)});
  };
  make_tokenizer({set_of("a", "penguin"), set_of("b", "zebra")}, 400, folder / "learned");
  const Tokenizer tokenizer = load_tokenizer(folder / "learned");
  EXPECT_EQ(tokenizer.encode("penguin").size(), 1u);
  EXPECT_EQ(tokenizer.encode("zebra").size(), 1u);
  EXPECT_GT(tokenizer.encode("walrus").size(), 1u);
}

TEST(MakeTokenizer, SetsWithoutCaptionsAndMissingSetsAreNamed) {
  const fs::path folder = fresh_folder("no_captions");
  Example plain = example(0);
  plain.captions.clear();
  write_payloads(folder / "plain", {serialize(plain)});
  expect_error("no caption in any of the sets",
               [&] { make_tokenizer({folder / "plain"}, 400, folder / "learned"); });
  expect_error("nowhere", [&] {
    make_tokenizer({folder / "plain", "nowhere"}, 400, folder / "other");
  });
  EXPECT_FALSE(fs::exists(folder / "learned/tokenizer.json"));
  EXPECT_FALSE(fs::exists(folder / "other"));
}

}  // namespace
}  // namespace i1
