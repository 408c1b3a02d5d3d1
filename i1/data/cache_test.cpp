#include "i1/data/cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <fstream>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/test_caches.h"
#include "i1/io/safetensors.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// The message of the UserError that `run` throws.
std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

void replace_in_file(const fs::path& path, const std::string& from, const std::string& to) {
  std::string text = read_file(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  write_file_atomically(path, text.replace(at, from.size(), to));
}

TEST(Rows, ComeBackWhereverFilesEnd) {
  for (const int64_t rows_per_file : {1, 2, 3, 7, 100}) {
    const fs::path folder = fresh_folder("rows");
    RowWriter writer(folder, "table", at::kLong, {3}, rows_per_file * 24);
    const at::Tensor all = at::arange(21, at::kLong).view({7, 3});
    writer.append(all.narrow(0, 0, 5));
    writer.append(all.narrow(0, 5, 2));
    const RowLayout layout = writer.close();
    EXPECT_EQ(layout.num_rows, 7);
    const RowReader reader(folder, "table", layout, at::kLong);
    for (int64_t begin = 0; begin <= 7; ++begin) {
      for (int64_t count = 0; begin + count <= 7; ++count)
        EXPECT_TRUE(at::equal(reader.rows(begin, count), all.narrow(0, begin, count)));
    }
    EXPECT_THROW(reader.rows(6, 2), UserError);
    EXPECT_THROW(reader.rows(-1, 1), UserError);
    EXPECT_THROW(reader.rows(0, -1), UserError);
    EXPECT_THROW(RowReader(folder, "table", layout, at::kInt), UserError);
  }
}

TEST(Rows, FilesArePlainSafetensorsAndAligned) {
  const fs::path folder = fresh_folder("rows_plain");
  RowWriter writer(folder, "table", at::kBFloat16, {2, 2});
  writer.append(at::randn({5, 2, 2}));
  writer.close();
  const at::Tensor rows = read_safetensors(folder / "table-00000.safetensors").tensors.at("rows");
  EXPECT_EQ(rows.sizes(), (std::vector<int64_t>{5, 2, 2}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(rows.const_data_ptr()) % 64, 0u);
}

TEST(Rows, AreWrittenInPiecesLargerThanTheBuffer) {
  const fs::path folder = fresh_folder("rows_large");
  RowWriter writer(folder, "table", at::kInt, {1000});
  const at::Tensor all = at::arange(700'000, at::kInt).view({700, 1000});
  for (const auto& [begin, count] : {std::pair{0, 1}, {1, 500}, {501, 2}, {503, 197}})
    writer.append(all.narrow(0, begin, count));
  const RowReader reader(folder, "table", writer.close(), at::kInt);
  EXPECT_TRUE(at::equal(reader.rows(0, 700), all));
}

TEST(Rows, AnAbandonedFileDoesNotAppear) {
  const fs::path folder = fresh_folder("rows_abandoned");
  { RowWriter(folder, "table", at::kInt, {1}).append(at::arange(4, at::kInt).view({4, 1})); }
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(Cache, ComesBack) {
  const fs::path folder = fresh_folder("cache") / "set";
  const at::Tensor latents = at::randn({3, 4, 2, 2});
  {
    CacheWriter writer(folder, test_origin());
    const int64_t first = writer.caption_number({1, 2, 3}), second = writer.caption_number({});
    EXPECT_EQ(writer.caption_number({1, 2, 3}), first);
    const int64_t third = writer.caption_number({256000});
    writer.add(latents.narrow(0, 0, 2), {{first, second}, {}}, {"a/b.png", ""});
    writer.add(latents.narrow(0, 2, 1), {{first, third}}, {"größe"});
    writer.finish();
  }
  const LatentCache cache = LatentCache::open(folder.string() + "/");
  EXPECT_EQ(cache.name(), "set");
  EXPECT_EQ(cache.origin(), test_origin());
  EXPECT_EQ(cache.size(), 3);
  EXPECT_EQ(cache.num_distinct_captions(), 3);
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_TRUE(at::equal(cache.latent(i), latents.select(0, i).to(at::kBFloat16)));
  EXPECT_EQ(cache.image_name(0), "a/b.png");
  EXPECT_EQ(cache.image_name(1), "");
  EXPECT_EQ(cache.image_name(2), "größe");
  EXPECT_EQ(cache.num_captions(1), 0);
  EXPECT_EQ(cache.token_ids(cache.caption(0, 0)), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_TRUE(cache.token_ids(cache.caption(0, 1)).empty());
  EXPECT_EQ(cache.token_ids(cache.caption(2, 1)), (std::vector<int64_t>{256000}));
  EXPECT_THROW(cache.latent(3), UserError);
  EXPECT_THROW(cache.token_ids(-1), UserError);
  EXPECT_FALSE(cache.has_text_states());
  EXPECT_THROW(cache.text_states(0), UserError);
}

TEST(Cache, TextStatesBelongToTheirCaptions) {
  const fs::path parent = fresh_folder("cache_states");
  const fs::path folder = write_test_cache(parent / "set", 600);
  // State of a token: its id, and how long its caption is.
  const auto encode = [](const std::vector<std::vector<int64_t>>& captions) {
    std::vector<at::Tensor> states;
    for (const auto& ids : captions) {
      at::Tensor rows = at::full({static_cast<int64_t>(ids.size()), 2}, double(ids.size()));
      for (size_t i = 0; i < ids.size(); ++i) rows[i][0] = ids[i] % 128;
      states.push_back(rows);
    }
    return states;
  };
  add_text_states(folder, "encoder 1", at::full({2}, -1.0), encode);
  add_text_states(folder, "encoder 2", at::full({2}, -2.0), encode);
  const LatentCache cache = LatentCache::open(folder);
  EXPECT_EQ(cache.origin().text_encoder, "encoder 2");
  EXPECT_TRUE(at::equal(cache.padding_state(), at::full({2}, -2.0, at::kBFloat16)));
  for (const int64_t example : {0, 1, 299, 599}) {
    const at::Tensor states = cache.text_states(cache.caption(example, 1));
    EXPECT_EQ(states.sizes(), (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(states[0][0].item<double>(), static_cast<double>(example % 128));
    EXPECT_EQ(states[1][0].item<double>(), 7);
    EXPECT_EQ(states[1][1].item<double>(), 2);
  }
  const fs::path other = write_test_cache(parent / "other", 599);
  fs::copy(folder / "text_states", other / "text_states");
  EXPECT_NE(error_of([&] { LatentCache::open(other); }).find("other captions"), std::string::npos);
}

TEST(Cache, IsWholeOrAbsent) {
  const fs::path parent = fresh_folder("cache_whole");
  {
    CacheWriter writer(parent / "set", test_origin());
    writer.add(at::randn({1, 2, 2, 2}), {{}}, {"a"});
  }
  EXPECT_TRUE(fs::is_empty(parent));
  CacheWriter empty(parent / "empty", test_origin());
  EXPECT_THROW(empty.finish(), UserError);
  write_test_cache(parent / "set", 2);
  EXPECT_NE(error_of([&] { CacheWriter(parent / "set", test_origin()); }).find("exists already"),
            std::string::npos);
  EXPECT_NE(error_of([&] { LatentCache::open(parent / "none"); }).find("not a latent cache"),
            std::string::npos);
}

TEST(Cache, DamageIsNamed) {
  const fs::path parent = fresh_folder("cache_damage");
  const auto damaged = [&](const std::function<void(const fs::path&)>& damage) {
    fs::remove_all(parent / "set");
    damage(write_test_cache(parent / "set", 3));
    return error_of([&] { LatentCache::open(parent / "set"); });
  };
  const auto mentions = [&](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  mentions(damaged([](auto& set) { fs::remove(set / "latents-00000.safetensors"); }), "latents");
  mentions(damaged([](auto& set) { fs::resize_file(set / "names-00000.safetensors", 260); }),
           "names-00000");
  mentions(damaged([](auto& set) { fs::resize_file(set / "cache.json", 100); }), "cache.json");
  mentions(damaged([](auto& set) { write_file_atomically(set / "cache.json", "{}"); }), "origin");
  mentions(damaged([](auto& set) {
             replace_in_file(set / "cache.json", "\"format\": 2", "\"format\": 1");
           }),
           "format 1, expected 2");
  mentions(damaged([](auto& set) {
             replace_in_file(set / "cache.json", "\"num_rows\": 3", "\"num_rows\": 4");
           }),
           "expected");
  mentions(damaged([](auto& set) {
             replace_in_file(set / "cache.json", "\"row_shape\": [\n", "\"row_shape\": [-5,\n");
           }),
           "rows of shape");
}

TEST(Cache, OffsetsThatLeaveTheTableAreRefusedWhenRead) {
  const fs::path folder = write_test_cache(fresh_folder("cache_offsets") / "set", 3);
  for (const int64_t wrong : {int64_t{-1}, int64_t{1} << 62, std::numeric_limits<int64_t>::min()}) {
    std::fstream file(folder / "token_offsets-00000.safetensors",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(256 + 8);
    file.write(reinterpret_cast<const char*>(&wrong), sizeof wrong);
    file.close();
    const LatentCache cache = LatentCache::open(folder);
    EXPECT_THROW(cache.token_ids(0), UserError);
    EXPECT_THROW(cache.token_ids(1), UserError);
    EXPECT_EQ(cache.token_ids(2).size(), 1u);
  }
}

TEST(Cache, OriginsThatDifferAreNotMixed) {
  const fs::path parent = fresh_folder("cache_origin");
  CacheOrigin other = test_origin();
  other.source = "other records";
  const LatentCache first = LatentCache::open(write_test_cache(parent / "first", 2)),
                    second = LatentCache::open(write_test_cache(parent / "second", 3, 1, other));
  check_same_origin(first, second);
  other.vae = "another mean";
  const LatentCache third = LatentCache::open(write_test_cache(parent / "third", 2, 1, other));
  const std::string message = error_of([&] { check_same_origin(first, third); });
  EXPECT_EQ(message,
            "third: vae \"another mean\", but first has \"test mean\"; they cannot be used "
            "together, make one of them anew");
  CacheOrigin run;
  run.resolution = 16;
  check_origin(run, "the run", first.origin(), "first");
  run.tokenizer = "2-00000002";
  EXPECT_THROW(check_origin(run, "the run", first.origin(), "first"), UserError);
}

TEST(Digest, ChangesWithEveryByteAndName) {
  const fs::path folder = fresh_folder("digest");
  write_file_atomically(folder / "a.json", "123456789");
  EXPECT_EQ(file_digest(folder / "a.json"), "9-e3069283");
  const std::string before = file_digest(folder);
  write_file_atomically(folder / "a.json", "123456780");
  const std::string changed = file_digest(folder);
  fs::rename(folder / "a.json", folder / "b.json");
  const std::string renamed = file_digest(folder);
  EXPECT_NE(before, changed);
  EXPECT_NE(changed, renamed);
  write_file_atomically(folder / "README.md", "words");
  EXPECT_EQ(file_digest(folder), renamed);
  EXPECT_THROW(file_digest(folder / "none"), UserError);
}

}  // namespace
}  // namespace i1
