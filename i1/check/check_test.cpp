// What the goldens themselves cannot show: that `i1 check` notices. A changed number fails, a case
// that nobody knew is run, a damaged file is refused, a file that no case reads is named.
#include "i1/check/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "i1/core/testing.h"
#include "i1/io/safetensors.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

CheckReport check(const fs::path& path) {
  CheckReport report;
  check_path(path, "cpu", report);
  return report;
}

json read(const fs::path& path) { return json::parse(read_file(path)); }
void write(const fs::path& path, const std::string& text) { write_file_atomically(path, text); }
void write(const fs::path& path, const json& value) { write(path, value.dump()); }

// Some files of the goldens, alone in a folder.
fs::path copy_goldens(const std::string& name, const std::vector<std::string>& files) {
  const fs::path folder = fs::canonical(fresh_folder(name));
  for (const std::string& file : files) {
    fs::create_directories((folder / file).parent_path());
    fs::copy("goldens/" + file, folder / file, fs::copy_options::recursive);
  }
  return folder;
}

// Moves one value of one tensor of a file.
void change(const fs::path& path, const std::string& key, double difference) {
  TensorMap tensors = read_safetensors(path).tensors;
  at::Tensor& tensor = tensors.at(key);
  tensor = tensor.clone();
  tensor.view({-1})[0] += difference;
  write_safetensors(path, tensors);
}

std::vector<std::string> failures(const CheckReport& report) {
  std::vector<std::string> names;
  for (const StageResult& stage : report.stages())
    if (!stage.passed) names.push_back(stage.case_name + ": " + stage.stage);
  return names;
}

std::vector<std::string> cases_of(const CheckReport& report) {
  std::vector<std::string> names;
  for (const StageResult& stage : report.stages())
    if (names.empty() || names.back() != stage.case_name) names.push_back(stage.case_name);
  return names;
}

bool contains(const std::vector<std::string>& lines, const std::string& words) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(words) != line.npos; });
}

const std::vector<std::string> kSampler = {
    "dit/checkpoint_tiny_lean.pt", "dit/sampler/sampler.json", "dit/sampler/sampler.safetensors"};

// The sampler's goldens.

TEST(Sampler, EveryRunStepAndBatchIsCompared) {
  const CheckReport report = check("goldens/dit/sampler/sampler.json");
  EXPECT_TRUE(report.passed());
  const json runs = read("goldens/dit/sampler/sampler.json").at("runs");
  for (const json& run : runs) {
    const auto num_steps = std::count_if(
        report.stages().begin(), report.stages().end(), [&](const StageResult& stage) {
          return stage.case_name == run.at("name") && stage.stage.starts_with("latents after step");
        });
    EXPECT_EQ(num_steps, run.at("num_steps").get<int64_t>()) << run.at("name");
  }
  EXPECT_TRUE(contains(cases_of(report), "cond15"));
  EXPECT_TRUE(contains(cases_of(report), "n250_shift0.3"));
}

TEST(Sampler, ARunOfAnotherNameWithAGuidanceStartIsRun) {
  const fs::path folder = copy_goldens("sampler_start", kSampler);
  const fs::path path = folder / "dit/sampler/sampler.json";
  json stored = read(path);
  // Guidance that starts behind the last step does nothing: the run of scale 1.
  stored["runs"] = {{{"name", "late"},
                     {"stored_as", "n4_cfg1_rescale0_shift0.3"},
                     {"num_steps", 4},
                     {"cfg_scale", 12.0},
                     {"cfg_rescale", nullptr},
                     {"cfg_interval_start", 0.9},
                     {"inference_timestep_shift", 0.3}}};
  write(path, stored);
  EXPECT_TRUE(check(path).passed());
  stored["runs"][0]["cfg_interval_start"] = 0.4;  // t = 9 / 19 is guided
  write(path, stored);
  EXPECT_EQ(failures(check(path)), std::vector<std::string>{"late: latents after step 4"});
}

TEST(Sampler, AGridOfAnyStepsAndShiftIsRun) {
  const fs::path folder = fresh_folder("grids");
  const auto grid = [](std::vector<double> times) { return at::tensor(times, at::kDouble); };
  TensorMap tensors = {{"n2_shift3/fp64", grid({0, 0.75, 1})},
                       {"n5_shift0/fp64", grid({0, 0.2, 0.4, 0.6, 0.8, 1})}};
  write_safetensors(folder / "new.safetensors", tensors);
  const CheckReport report = check(folder);
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.stages().size(), 3u);  // shift 0 is the uniform schedule too
  tensors["n2_shift3/fp64"] = grid({0, 0.7501, 1});
  write_safetensors(folder / "new.safetensors", tensors);
  EXPECT_EQ(failures(check(folder)), std::vector<std::string>{"2 steps, shift 3: shifted fp64"});
}

// A changed number.

TEST(Check, AChangedNumberFailsAtItsStage) {
  const struct {
    std::vector<std::string> files;
    std::string changed, tensor;
    double difference;
    std::string failure;
  } cases[] = {
      {kSampler, "dit/sampler/sampler.safetensors", "n4_cfg1_rescale0_shift0", 1e-3,
       "n4_cfg1_rescale0_shift0: latents before the first step"},
      {kSampler, "dit/sampler/sampler.safetensors", "n4_cfg12_rescale1_shift0.3/velocity", 1e-3,
       "n4_cfg12_rescale1_shift0.3: velocity of step 1"},
      {kSampler, "dit/sampler/sampler.safetensors", "cond15/out_text", 1, "cond15: text"},
      {{"training/rectified_flow.json", "training/rectified_flow.safetensors"},
       "training/rectified_flow.safetensors",
       "shift0.3/t",
       1e-5,
       "shift0.3: t"},
      {{"dit/latent_scaling"},
       "dit/latent_scaling/latent_scaling.safetensors",
       "b/scale_out",
       1e-3,
       "b: b/scale_out"},
      {{"dit/resolutions.json", "dit/resolutions_weights.safetensors",
        "dit/resolutions_cases.safetensors"},
       "dit/resolutions_cases.safetensors",
       "res512/output",
       1e-3,
       "res512: output"},
      {{"t5gemma/tiny", "t5gemma/case_short.safetensors"},
       "t5gemma/case_short.safetensors",
       "jax.hidden.2",
       1e-3,
       "case_short: jax.hidden.2"},
      {{"vae/flux1_tiny"}, "vae/flux1_tiny/cases.safetensors", "a.mean", 1e-2, "a: a.mean"},
  };
  for (const auto& item : cases) {
    const fs::path folder = copy_goldens("changed", item.files);
    EXPECT_TRUE(check(folder).passed()) << item.changed;
    change(folder / item.changed, item.tensor, item.difference);
    const CheckReport report = check(folder);
    EXPECT_FALSE(report.passed()) << item.changed << " " << item.tensor;
    EXPECT_TRUE(contains(failures(report), item.failure)) << item.changed << " " << item.tensor;
  }
}

TEST(Check, AChangedNumberOfAJsonFileFails) {
  const fs::path folder =
      copy_goldens("changed_json", {"data/mixing/subset.json", "training/itstime.json"});
  EXPECT_TRUE(check(folder).passed());
  json steps = read(folder / "training/itstime.json");
  for (json& entry : steps)
    if (entry.contains("true_steps")) entry["true_steps"].push_back(1000000);
  write(folder / "training/itstime.json", steps);
  EXPECT_FALSE(check(folder / "training").passed());
  json subset = read(folder / "data/mixing/subset.json");
  subset["ids"][0]["bucket"] = subset["ids"][0]["bucket"].get<int64_t>() + 1;
  write(folder / "data/mixing/subset.json", subset);
  EXPECT_EQ(failures(check(folder / "data")).size(), 1u);
}

// Formats, not names.

TEST(Check, AGoldenIsKnownByWhatItHolds) {
  const fs::path folder =
      copy_goldens("renamed", {"dit/resolutions.json", "dit/resolutions_weights.safetensors",
                               "dit/resolutions_cases.safetensors", "training/rectified_flow.json",
                               "training/rectified_flow.safetensors", "t5gemma/tiny",
                               "t5gemma/case_short.safetensors"});
  const std::pair<const char*, const char*> names[] = {
      {"dit/resolutions.json", "x.json"},
      {"dit/resolutions_weights.safetensors", "x_weights.safetensors"},
      {"dit/resolutions_cases.safetensors", "x_cases.safetensors"},
      {"training/rectified_flow.json", "y.json"},
      {"training/rectified_flow.safetensors", "y.safetensors"},
      {"t5gemma/case_short.safetensors", "z.safetensors"},
      {"t5gemma/tiny", "model"}};
  for (const auto& [from, to] : names) fs::rename(folder / from, folder / to);
  const CheckReport report = check(folder);
  EXPECT_TRUE(report.passed());
  EXPECT_TRUE(report.left_out().empty());
  for (const char* name : {"res1024_in16", "uniform_shift3.33", "z"})
    EXPECT_TRUE(contains(cases_of(report), name)) << name;
}

// Files that no case reads.

TEST(Check, WhatNoCaseReadsIsLeftOutByName) {
  const fs::path folder = copy_goldens("unread", {"data/mixing", "dit/tolerances.json"});
  fs::create_directories(folder / "other/deep");
  write(folder / "data/mixing/notes.json", json{{"a", 1}});
  write(folder / "other/deep/a.json", json{{"a", 1}});
  write(folder / "other/b.bin", std::string("b"));
  write(folder / "README.md", std::string("words"));
  const CheckReport report = check(folder);
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.left_out().size(), 3u);
  EXPECT_TRUE(contains(report.left_out(), "data/mixing/notes.json: of no format"));
  EXPECT_TRUE(contains(report.left_out(), "dit: how far float32 is from float64"));
  EXPECT_TRUE(contains(report.left_out(), "other: 2 files, of no format"));
}

TEST(Check, EveryFileOfTheBackbonesGoldensIsReadOrAMeasurement) {
  const CheckReport report = check("goldens/dit");
  ASSERT_EQ(report.left_out().size(), 1u);
  EXPECT_TRUE(contains(report.left_out(), "tolerances.json: how far float32"));
}

// Damaged goldens.

TEST(Check, ATruncatedJsonIsRefusedAmongGoodOnes) {
  for (const char* file : {"data/mixing/subset.json", "data/mixing/mixing.json"}) {
    const fs::path folder = copy_goldens("truncated", {"data/mixing"});
    const std::string text = read_file(folder / file);
    for (const size_t size : {size_t{0}, size_t{1}, text.size() / 2, text.size() - 3}) {
      write(folder / file, text.substr(0, size));
      const std::string words = fs::path(file).filename().string() + ": damaged or cut off";
      expect_error(words, [&] { check(folder); });
      expect_error(words, [&] { check(folder / file); });
    }
  }
}

TEST(Check, ASafetensorsCutAnywhereIsRefused) {
  const fs::path folder = copy_goldens("cut", {"dit/sampler/time_grids.safetensors"});
  const fs::path path = folder / "dit/sampler/time_grids.safetensors";
  const std::string bytes = read_file(path);
  for (const size_t size :
       {size_t{0}, size_t{7}, size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    write(path, bytes.substr(0, size));
    expect_error("time_grids.safetensors", [&] { check(folder); });
  }
}

TEST(Check, WhatACaseNeedsAndDoesNotFindIsNamed) {
  const fs::path folder = copy_goldens("missing", kSampler);
  const fs::path path = folder / "dit/sampler/sampler.json";
  const json good = read(path);
  const auto refused = [&](const std::string& words, const json& stored) {
    write(path, stored);
    expect_error(words, [&] { check(folder); });
  };
  json stored = good;
  stored["runs"][0]["stored_as"] = "elsewhere";
  refused("no tensor \"elsewhere\"", stored);
  stored = good;
  stored["runs"][0].erase("cfg_scale");
  refused("family sampler: key 'cfg_scale' not found", stored);
  stored = good;
  stored["runs"][0]["num_steps"] = 5;
  refused("has 5 latents, expected 6", stored);
  stored = good;
  stored["runs"] = {3};
  refused("family sampler", stored);
  stored = good;
  stored["weights"] = "nowhere.pt";
  refused("nowhere.pt", stored);
  fs::remove(folder / "dit/sampler/sampler.safetensors");
  refused("sampler.safetensors", good);
}

TEST(Check, TensorsThatDoNotFitTogetherAreRefused) {
  const fs::path folder = copy_goldens("shapes", kSampler);
  const fs::path path = folder / "dit/sampler/sampler.safetensors";
  const TensorMap good = read_safetensors(path).tensors;
  for (const char* key : {"latent0", "text", "mask", "n4_cfg12_rescale1_shift0.3/velocity"}) {
    TensorMap tensors = good;
    tensors[key] = at::zeros({3, 5});
    write_safetensors(path, tensors);
    expect_error("sampler.json: ", [&] { check(folder); });
  }
}

TEST(Check, AnIndexOfShardsThatNamesATensorTheyLackIsRefused) {
  const fs::path folder = copy_goldens("index", {"t5gemma/tiny", "t5gemma/case_short.safetensors"});
  const fs::path path = folder / "t5gemma/tiny/model.safetensors.index.json";
  json index = read(path);
  index["weight_map"]["model.encoder.more.weight"] = "model-00001-of-00002.safetensors";
  write(path, index);
  expect_error("model.encoder.more.weight", [&] { check(folder); });
}

TEST(Check, AGoldenWithoutACaseIsRefused) {
  const fs::path folder = copy_goldens("no_case", {"data/images/sizes.json"});
  json sizes = read(folder / "data/images/sizes.json");
  sizes["rows"] = json::array();
  write(folder / "data/images/sizes.json", sizes);
  expect_error("sizes.json: no case in it", [&] { check(folder); });
}

TEST(Check, AFolderWithoutAGoldenIsRefused) {
  const fs::path folder = fresh_folder("nothing");
  expect_error("nothing here is a golden", [&] { check(folder); });
  write(folder / "a.json", json{{"a", 1}});
  write(folder / "b.md", std::string("words"));
  expect_error("nothing here is a golden", [&] { check(folder); });
  expect_error("nothing here is a golden", [&] { check(folder / "a.json"); });
  expect_error("no such file or folder", [&] { check(folder / "c.json"); });
}

}  // namespace
}  // namespace i1
