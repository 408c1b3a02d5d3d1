// Checkpoints: the same to the last bit, whole or passed over, and how long they stay.
#include "i1/train/checkpoint.h"

#include <sys/resource.h>

#include <csignal>
#include <set>

#include "i1/core/config.h"
#include "i1/train/train_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;
namespace fs = std::filesystem;

// Something else in every tensor.
TrainState random_state(const TrainConfig& config, int64_t step) {
  at::manual_seed(static_cast<uint64_t>(step));
  TrainState state = initial_state(config, at::kCPU);
  for (Net* net : {&state.weights, &state.ema, &state.mu, &state.nu}) {
    for_each_tensor(*net, "", [](const std::string&, at::Tensor& tensor) {
      if (tensor.defined()) tensor = at::randn(tensor.sizes()).to(tensor.scalar_type());
    });
  }
  state.step = step;
  state.data = {8 * step, {8 * step}};
  return state;
}

fs::path run_with(const std::string& name, const TrainConfig& config,
                  const std::vector<int64_t>& steps) {
  const fs::path run = fresh_folder(name);
  for (const int64_t step : steps) {
    TrainState state = random_state(config, step);
    save_checkpoint(run, config, state);
  }
  return run;
}

TEST(Checkpoint, ComesBackToTheLastBit) {
  for (const char* moment : {"bfloat16", "float32"}) {
    TrainConfig config = small_run();
    config.first_moment_dtype = moment;
    TrainState state = random_state(config, 7);
    const fs::path run = fresh_folder("comes_back");
    save_checkpoint(run, config, state);
    std::optional<TrainState> found = load_checkpoint(run, config, at::kCPU);
    ASSERT_TRUE(found);
    expect_equal(state, *found);
    // Loaded tensors are the run's own: training on does not write to the file.
    found->weights.backbone.final_linear.bias.add_(1);
    expect_equal(state, *load_checkpoint(run, config, at::kCPU));
  }
}

TEST(Checkpoint, AMissingRunHasNone) {
  const fs::path parent = fresh_folder("missing");
  EXPECT_FALSE(load_checkpoint(parent / "nowhere", small_run(), at::kCPU));
  EXPECT_FALSE(load_checkpoint(parent, small_run(), at::kCPU));
  EXPECT_TRUE(checkpoint_steps(parent / "nowhere").empty());
  expect_error("holds no checkpoint", [&] { load_newest_state(parent / "nowhere", at::kCPU); });
}

TEST(Checkpoint, OnlyWholeNamesCount) {
  const fs::path run = fresh_folder("names");
  for (const char* name : {"checkpoint-000000010", "checkpoint-000000002", "checkpoint-00000003",
                           "checkpoint-000000020.partial", "checkpoint-00000002x", "samples"}) {
    fs::create_directory(run / name);
  }
  EXPECT_EQ(checkpoint_steps(run), (std::vector<int64_t>{2, 10}));
}

struct Damage {
  const char* file;
  const char* message;
  std::function<void(const fs::path&)> apply;
};

const std::vector<Damage>& damages() {
  static const auto replace = [](const std::string& from, const std::string& to) {
    return [=](const fs::path& path) {
      std::string text = read_file(path);
      const size_t place = text.find(from);
      ASSERT_NE(place, std::string::npos);
      write_file_atomically(path, text.replace(place, from.size(), to));
    };
  };
  static const auto cut = [](const fs::path& path) {
    fs::resize_file(path, fs::file_size(path) / 2);
  };
  static const auto empty = [](const fs::path& path) { fs::resize_file(path, 0); };
  static const auto flip = [](const fs::path& path) {
    std::string bytes = read_file(path);
    bytes.back() ^= 1;
    write_file_atomically(path, bytes);
  };
  static const auto remove = [](const fs::path& path) { fs::remove(path); };
  static const std::vector<Damage> all = {
      {"weights.safetensors", "weights.safetensors: checksum", flip},
      {"ema.safetensors", "ema.safetensors: checksum", cut},
      {"mu.safetensors", "mu.safetensors: checksum", empty},
      {"nu.safetensors", "nu.safetensors: cannot be opened", remove},
      {"state.json", "state.json: cannot be opened", remove},
      {"state.json", "state.json: not a JSON object", cut},
      {"state.json", "state.json: not a JSON object", empty},
      {"state.json", "state.json: has no \"data\"", replace("\"data\"", "\"date\"")},
      {"state.json", "\"step\" or \"config\" is of another kind",
       replace("\"step\": 20", "\"step\": -20")},
      {"state.json", "has no checksum of \"mu\"", replace("\"mu\"", "\"mv\"")},
      {"state.json", "unknown field \"draws\"", replace("\"num_draws\"", "\"draws\"")}};
  return all;
}

TEST(Checkpoint, ADamagedNewestOneIsNamedAndTheOneBeforeItIsRead) {
  const TrainConfig config = small_run();
  for (const Damage& damage : damages()) {
    SCOPED_TRACE(damage.message);
    const fs::path run = run_with("damaged", config, {10, 20});
    damage.apply(checkpoint_folder(run, 20) / damage.file);
    for (const bool is_own : {true, false}) {
      ::testing::internal::CaptureStderr();
      const TrainState found =
          is_own ? *load_checkpoint(run, config, at::kCPU) : load_newest_state(run, at::kCPU);
      const std::string said = ::testing::internal::GetCapturedStderr();
      EXPECT_NE(said.find("passing over a damaged checkpoint: "), std::string::npos) << said;
      EXPECT_NE(said.find(damage.message), std::string::npos) << said;
      EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
      expect_equal(found, random_state(config, 10));
    }
  }
}

TEST(Checkpoint, WhereAllAreDamagedTheRunDoesNotStartAnew) {
  const TrainConfig config = small_run();
  const fs::path run = run_with("all_damaged", config, {10, 20});
  fs::remove(checkpoint_folder(run, 10) / "ema.safetensors");
  fs::remove(checkpoint_folder(run, 20) / "state.json");
  ::testing::internal::CaptureStderr();
  const std::string expected = "every checkpoint of this run is damaged; remove them";
  expect_error(expected, [&] { load_checkpoint(run, config, at::kCPU); });
  expect_error(expected, [&] { load_newest_state(run, at::kCPU); });
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 4) << said;
}

// A limit on the size of files fails as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

TEST(Checkpoint, AHalfWrittenOneNeverHasItsFinalName) {
  const TrainConfig config = small_run();
  const fs::path run = run_with("half_written", config, {10, 20});
  TrainState state = random_state(config, 30);
  {
    const FileSizeLimit limit(1000);
    EXPECT_THROW(save_checkpoint(run, config, state), Failure);
  }
  const auto names = [&] {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(run))
      found.insert(entry.path().filename().string());
    return found;
  };
  const std::set<std::string> before = {"checkpoint-000000010", "checkpoint-000000020"};
  EXPECT_EQ(names(), before);
  expect_equal(*load_checkpoint(run, config, at::kCPU), random_state(config, 20));

  // What a killed run leaves is not read, and does not stand in the way.
  const fs::path partial = run / "checkpoint-000000030.partial";
  fs::create_directory(partial);
  write_file_atomically(partial / "weights.safetensors", "half");
  EXPECT_EQ(checkpoint_steps(run), (std::vector<int64_t>{10, 20}));
  save_checkpoint(run, config, state);
  EXPECT_FALSE(fs::exists(partial));
  expect_equal(*load_checkpoint(run, config, at::kCPU), state);
}

TEST(Checkpoint, TheNewestTwoStayAndThoseThatAreKeptForGood) {
  TrainConfig config = small_run();
  config.num_steps = 100;
  config.keep_every = 30;
  const fs::path run = fresh_folder("kept");
  using Steps = std::vector<int64_t>;
  const auto save = [&](int64_t step) {
    TrainState state = random_state(config, step);
    save_checkpoint(run, config, state);
    return checkpoint_steps(run);
  };
  EXPECT_EQ(save(1), (Steps{1}));
  EXPECT_EQ(save(20), (Steps{1, 20}));
  EXPECT_EQ(save(30), (Steps{20, 30}));
  EXPECT_EQ(save(50), (Steps{30, 50}));
  EXPECT_EQ(save(60), (Steps{30, 50, 60}));
  EXPECT_EQ(save(80), (Steps{30, 60, 80}));
  EXPECT_EQ(save(90), (Steps{30, 60, 80, 90}));
  EXPECT_EQ(save(100), (Steps{30, 60, 90, 100}));
  config.keep_every = 0;
  config.num_steps = 200;  // the run goes on
  EXPECT_EQ(save(120), (Steps{100, 120}));
}

TEST(Checkpoint, TheSameStepMayBeWrittenAgain) {
  const TrainConfig config = small_run();
  const fs::path run = run_with("again", config, {10});
  TrainState other = random_state(config, 11);
  other.step = 10;
  save_checkpoint(run, config, other);
  expect_equal(*load_checkpoint(run, config, at::kCPU), other);
}

TEST(Checkpoint, AnotherNetworkIsRefusedAndAnotherScheduleIsNot) {
  const TrainConfig config = small_run();
  const fs::path run = run_with("other", config, {10});
  const auto refuses = [&](const std::string& expected, const std::string& assignment) {
    TrainConfig other = config;
    set_field(other, assignment);
    expect_error(expected, [&] { load_checkpoint(run, other, at::kCPU); });
  };
  refuses("was trained with another model (differs at /depth); choose another --output",
          "model.depth=5");
  refuses("was trained with another text/is_trained", "text.is_trained=false");
  refuses("was trained with another text/config (differs at /head_dim)", "text.config.head_dim=16");
  TrainConfig other = config;
  for (const char* assignment : {"learning_rate=1", "global_batch_size=2", "num_steps=99",
                                 "data_sets=[\"a\",\"b\"]", "seed=9", "text.encoder=elsewhere"})
    set_field(other, assignment);
  expect_equal(*load_checkpoint(run, other, at::kCPU), random_state(config, 10));
}

TEST(Checkpoint, ALaterStageReadsItUnderItsOwnConfig) {
  TrainConfig config = small_run();
  config.text.is_trained = false;
  config.first_moment_dtype = "float32";
  const fs::path run = run_with("stage", config, {10, 20});
  const TrainState found = load_newest_state(run, at::kCPU);
  EXPECT_FALSE(found.weights.text_encoder);
  expect_equal(found, random_state(config, 20));
}

}  // namespace
}  // namespace i1
