// Bundles on their way to a folder and back, and requests on theirs to text and a command.
#include "i1/bundle.h"

#include <ATen/ATen.h>

#include "i1/core/config.h"
#include "i1/pipeline_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
namespace fs = std::filesystem;

// FOLDER/tiny, which finds the autoencoder that the sources hold.
fs::path save_tiny(const fs::path& folder, int64_t max_shard_bytes = 15'000'000) {
  Bundle bundle = tiny_bundle();
  bundle.config.vae = fs::absolute("weights/taef2").string();
  save_bundle(folder / "tiny", bundle.config, bundle.backbone.get(), bundle.text_encoder.get(),
              tiny_tokenizer(), max_shard_bytes);
  return folder / "tiny";
}

// Matrices are rounded to 127 steps of their row's largest value, vectors to bfloat16.
template <class Net>
void expect_close(Net stored, Net found) {
  for_each_tensor_pair(stored, found, [](const std::string& key, at::Tensor& a, at::Tensor& b) {
    ASSERT_EQ(a.sizes(), b.sizes()) << key;
    const double largest = a.abs().max().item<double>();
    EXPECT_LE((a - b).abs().max().item<double>(), 0.51 / 127 * largest + 1e-12) << key;
  });
}

TEST(Bundle, ComesBackWithinItsRounding) {
  for (const int64_t max_shard_bytes : {15'000'000, 20'000}) {
    const fs::path folder = save_tiny(fresh_folder("comes_back"), max_shard_bytes);
    const Bundle found = load_bundle(folder, at::kCPU, at::kFloat);
    BundleConfig config = tiny_bundle_config();
    config.vae = found.config.vae;
    EXPECT_EQ(to_json(found.config), to_json(config));
    const Bundle tiny = tiny_bundle();
    DualStream stored = tiny.backbone.get();
    // Left out: what no picture depends on.
    EXPECT_FALSE(found.backbone->t_embedder);
    stored.t_embedder.reset();
    Block& last = stored.out_blocks.back();
    EXPECT_EQ(found.backbone->out_blocks.back().mlp_text.w12->weight.abs().sum().item<double>(), 0);
    for_each_tensor(last.mlp_text, "",
                    [](const std::string&, at::Tensor& tensor) { tensor = tensor * 0; });
    for_each_tensor(last.attn.proj_text, "",
                    [](const std::string&, at::Tensor& tensor) { tensor = tensor * 0; });
    expect_close(stored, found.backbone.get());
    expect_close(tiny.text_encoder.get(), widened(found.text_encoder.get()));
    EXPECT_EQ(found.tokenizer.encode("a red bar"), tiny.tokenizer.encode("a red bar"));
  }
}

TEST(Bundle, TheSameModelGivesTheSameFiles) {
  const fs::path one = save_tiny(fresh_folder("one")), other = save_tiny(fresh_folder("other"));
  int64_t num_files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(one)) {
    if (!entry.is_regular_file()) continue;
    ++num_files;
    EXPECT_EQ(read_file(entry.path()), read_file(other / fs::relative(entry.path(), one)))
        << entry.path();
  }
  EXPECT_GE(num_files, 6);
}

TEST(Bundle, ReplacesAModelAndNothingElse) {
  const fs::path folder = fresh_folder("replaced");
  save_tiny(folder);
  write_file_atomically(folder / "tiny/old", "left over");
  save_tiny(folder);
  EXPECT_FALSE(fs::exists(folder / "tiny/old"));
  fs::remove(folder / "tiny/bundle.json");
  expect_error("is there and is no model, so it is not replaced", [&] { save_tiny(folder); });
  EXPECT_TRUE(fs::exists(folder / "tiny/text_encoder/config.json"));
}

TEST(Bundle, DamagedFoldersAreNamed) {
  const auto refuses = [](const std::string& expected, auto&& damage) {
    const fs::path folder = save_tiny(fresh_folder("damaged"));
    damage(folder);
    SCOPED_TRACE(expected);
    expect_error(expected, [&] { load_bundle(folder, at::kCPU, at::kFloat); });
  };
  const auto change_config = [](const std::string& assignment) {
    return [=](const fs::path& folder) {
      BundleConfig config;
      from_json(config, nlohmann::json::parse(read_file(folder / "bundle.json")), "here");
      set_field(config, assignment);
      write_file_atomically(folder / "bundle.json", to_json(config).dump());
    };
  };
  refuses("bundle.json: cannot be opened",
          [](const fs::path& folder) { fs::remove(folder / "bundle.json"); });
  refuses("bundle.json: expected a JSON object",
          [](const fs::path& folder) { write_file_atomically(folder / "bundle.json", "{\"na"); });
  refuses("bundle.json: depth is 0", change_config("model.depth=0"));
  refuses("has shape", change_config("model.text_width=32"));
  refuses("no tensor \"in_blocks.1", change_config("model.depth=5"));
  refuses("nowhere", change_config("vae=nowhere"));
  refuses("tokenizer", [](const fs::path& folder) { fs::remove_all(folder / "tokenizer"); });
  refuses("text_encoder", [](const fs::path& folder) { fs::remove_all(folder / "text_encoder"); });
}

// The backbone of the tiny model as a file of its own, a text encoder's folder with its tokenizer,
// and weights/taef2, as somebody keeps the published parts.
ModelFiles save_parts(const fs::path& root) {
  const Bundle tiny = tiny_bundle();
  DualStream backbone = tiny.backbone.get();
  write_safetensors(root / "tiny.safetensors", to_tensor_map(backbone));
  save_t5gemma(tiny.text_encoder.get(), root / "text");
  fs::copy(tiny_tokenizer() / "tokenizer.json", root / "text/tokenizer.json");
  fs::create_directories(root / "weights");
  fs::copy("weights/taef2", root / "weights/taef2");
  return {(root / "tiny.safetensors").string(), (root / "text").string(), ""};
}

TEST(LoadModel, JoinsAFileOfABackboneWithTheOtherParts) {
  const fs::path root = fresh_folder("parts");
  const ModelFiles files = save_parts(root);
  const Bundle found = load_model(files, root / "build", at::kCPU, at::kFloat);
  const Bundle tiny = tiny_bundle();
  EXPECT_EQ(found.config.name, "tiny");
  EXPECT_EQ(to_json(found.config.model), to_json(tiny.config.model));
  EXPECT_EQ(found.vae.name(), "TAEF2");
  DualStream ours = found.backbone.get(), theirs = tiny.backbone.get();
  for_each_tensor_pair(ours, theirs, [](const std::string& key, at::Tensor& a, at::Tensor& b) {
    EXPECT_TRUE(at::equal(a, b)) << key;
  });
  // Computed with as it is stored: nothing is copied; else all of it is.
  EXPECT_EQ(found.memory.backbone, 0);
  EXPECT_GT(found.memory.backbone_mapped, 0);
  const Bundle narrow = load_model(files, root / "build", at::kCPU, at::kBFloat16);
  EXPECT_GT(narrow.memory.backbone, found.memory.backbone_mapped / 4);
  EXPECT_LT(narrow.memory.backbone, found.memory.backbone_mapped);
}

TEST(LoadModel, ABundleMayBeGivenAnotherAutoencoder) {
  const fs::path root = fresh_folder("other_vae"), folder = save_tiny(root);
  const Bundle found =
      load_model({folder.string(), "", "weights/taef2"}, "/", at::kCPU, at::kFloat);
  EXPECT_EQ(found.vae.name(), "TAEF2");
  expect_error("nowhere", [&] {
    load_model({folder.string(), "", "nowhere"}, "/", at::kCPU, at::kFloat);
  });
  expect_error("has a text encoder of its own", [&] {
    load_model({folder.string(), "text", ""}, "/", at::kCPU, at::kFloat);
  });
}

TEST(LoadModel, PartsThatAreMissingOrDoNotFitAreNamed) {
  const fs::path root = fresh_folder("bad_parts");
  const ModelFiles files = save_parts(root);
  const auto refuses = [&](const std::string& expected, auto&& change) {
    ModelFiles changed = files;
    change(changed);
    SCOPED_TRACE(expected);
    expect_error(expected, [&] { load_model(changed, root / "build", at::kCPU, at::kFloat); });
  };
  refuses("--text-encoder t5gemma-2b: no such file or folder",
          [](ModelFiles& f) { f.text_encoder = ""; });
  refuses("--vae nowhere: no such file or folder", [](ModelFiles& f) { f.vae = "nowhere"; });
  refuses("model \"nowhere\": no bundled model", [](ModelFiles& f) { f.model = "nowhere"; });
  refuses("no EMA weights of an i1 backbone",
          [&](ModelFiles& f) { f.model = (root / "text/model.safetensors").string(); });
  T5GemmaConfig wide = t5gemma_nano(8000);
  save_t5gemma(init_t5gemma(wide, RandomStream{1}), root / "wide");
  fs::copy(tiny_tokenizer() / "tokenizer.json", root / "wide/tokenizer.json");
  refuses("a text encoder of width 256; the backbone takes 16",
          [&](ModelFiles& f) { f.text_encoder = (root / "wide").string(); });
}

TEST(MemoryPlan, CountsWhatIsHeldAtOnceAndSaysWhatToChange) {
  MemoryPlan plan;
  plan.model = {
      .text_encoder_mapped = 5'200'000'000, .backbone_mapped = 0, .backbone = 6'300'000'000};
  plan.held = 300'000'000;
  plan.step = 200'000'000;
  plan.decode = 900'000'000;
  EXPECT_EQ(plan.peak(), 7'500'000'000);
  EXPECT_EQ(plan.mapped(), 5'200'000'000);
  EXPECT_EQ(plan.needed(), 7'200'000'000);
  check_fits(plan, 7'200'000'000);
  expect_error("this takes another 7.2 GB of memory, 7.1 GB are available",
               [&] { check_fits(plan, 7'100'000'000); });
  expect_error("try --dtype int8", [&] { check_fits(plan, 0); });
  plan.decode = 7'900'000'000;  // so much that the backbone goes meanwhile
  EXPECT_TRUE(plan.lets_backbone_go());
  EXPECT_EQ(plan.needed(), 7'900'000'000);
  plan.step = 2'000'000'000;
  EXPECT_EQ(plan.needed(), 8'300'000'000);
  plan.decode = 900'000'000;
  EXPECT_FALSE(plan.lets_backbone_go());
  MemoryPlan small;
  small.model.backbone = 20'000'000;
  small.decode = 200'000'000;
  EXPECT_FALSE(small.lets_backbone_go());  // loading it again would take longer than it draws
  plan.step = 2'000'000'000;               // not at the same time as decoding
  EXPECT_EQ(plan.peak(), 8'600'000'000);
}

TEST(MemoryPlan, AStepGrowsWithItsTokens) {
  const ModelConfig config = preset_i1_3b(1024);
  const auto bytes = [&](int64_t samples, int64_t side) {
    return step_bytes(config, samples, side, side, 2);
  };
  EXPECT_EQ(bytes(2, 128), 2 * bytes(1, 128));
  EXPECT_GT(bytes(1, 128), 3 * bytes(1, 64));
}

TEST(Bundle, FluxDecodesInTheComputeDtypeAndTaef2InFloat32) {
  const fs::path root = fresh_folder("vae_dtype"), folder = save_tiny(root), flux = root / "flux";
  AutoencoderConfig config;
  config.block_out_channels = {4, 8, 8, 8};
  config.layers_per_block = 1;
  config.norm_num_groups = 2;
  Autoencoder autoencoder = make_autoencoder(config);
  TensorMap tensors;
  for_each_tensor(autoencoder, "", [&](const std::string& key, at::Tensor& tensor) {
    tensors[key] = at::randn(tensor.sizes());
  });
  fs::create_directory(flux);
  write_safetensors(flux / "diffusion_pytorch_model.safetensors", tensors);
  nlohmann::ordered_json json = to_json(config);
  json["_class_name"] = "AutoencoderKLFlux2";
  write_file_atomically(flux / "config.json", json.dump());
  const auto decode_bytes = [&](Precision precision, const fs::path& vae) {
    return load_bundle(folder, at::kCPU, precision, vae).vae.decode_bytes({1, 32, 4, 4});
  };
  EXPECT_EQ(decode_bytes(at::kFloat, flux), 2 * decode_bytes(at::kBFloat16, flux));
  EXPECT_EQ(decode_bytes(at::kFloat, {}), decode_bytes(at::kBFloat16, {}));
}

TEST(Bundle, IsFoundByNameOrPath) {
  const fs::path root = fresh_folder("found");
  fs::create_directories(root / "weights");
  fs::create_directories(root / "build/release");
  const fs::path tiny = save_tiny(root / "weights");
  EXPECT_EQ(find_bundle("tiny", root / "build/release"), tiny);
  EXPECT_EQ(find_bundle(tiny.string(), "/"), tiny);
  EXPECT_EQ(find_weights("tiny", root / "build"), tiny);
  expect_error(
      "model \"tin\": no bundled model of that name and no folder with bundle.json; bundled: tiny",
      [&] { find_bundle("tin", root / "build"); });
  expect_error("no such file or folder, and not in weights/ either",
               [&] { find_weights("tin", root / "build"); });
}

TEST(Request, ComesBackFromTheTextThatAPictureCarries) {
  Request request;
  request.prompt = "a \"red\" square\n\xc3\xa9";
  request.seed = UINT64_MAX;
  request.guidance_scale = 0.1;
  request.width = 64;
  const Request found = request_from_text(request_to_text(request), "here");
  EXPECT_EQ(to_json(found), to_json(request));
  request.prompt = "\xff\xfe";  // not UTF-8: stored with replacement characters
  EXPECT_EQ(request_from_text(request_to_text(request), "here").prompt, "\xef\xbf\xbd\xef\xbf\xbd");
  expect_error("here: expected a JSON object", [] { request_from_text("words", "here"); });
  expect_error("here: unknown field \"promt\"; nearest: \"prompt\"",
               [] { request_from_text("{\"promt\": 1}", "here"); });
}

TEST(Request, TheCommandIsQuotedForAShellAndLeavesOutWhatIsDefault) {
  Request request;
  request.prompt = "it's $HOME";
  request.width = request.height = 32;
  request.num_steps = 4;
  request.guidance_scale = 0.1;
  request.compute_dtype = "float32";
  EXPECT_EQ(command_line(request, "out.png"),
            "i1 generate 'it'\\''s $HOME' --model 'nano' --size 32x32 --seed 0 --steps 4 "
            "--cfg-scale 0.1 --cfg-rescale 1.0 --schedule shifted --shift 0.3 --dtype float32 "
            "--output 'out.png'");
  request.text_encoder = "t5";
  request.vae = "ae";
  request.negative_prompt = "dull";
  request.prompt_index = 3;
  request.image_index = 2;
  request.guidance_start = 0.5;
  request.schedule = "uniform";
  request.decode_rows = 32;
  EXPECT_EQ(command_line(request, "out.png"),
            "i1 generate 'it'\\''s $HOME' --model 'nano' --text-encoder 't5' --vae 'ae' "
            "--negative-prompt 'dull' --size 32x32 --seed 0 --first-prompt 3 --first-image 2 "
            "--steps 4 --cfg-scale 0.1 --cfg-rescale 1.0 "
            "--guidance-start 0.5 --schedule uniform --decode-rows 32 --dtype float32 --output "
            "'out.png'");
}

}  // namespace
}  // namespace i1
