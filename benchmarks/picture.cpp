// Times one picture of given files, for benchmarks/full_size.sh; prints one JSON line.
//
//   picture --model i1-3B.safetensors --text-encoder t5gemma-2b --vae flux2-vae --size 512
//
// seconds_to_sampling: from the start of the program, the prompt encoded, to the first step (the
// end of the first step less the median step). own_mb: the most memory at once that is not pages of
// mapped files, until the last step and in all; planned_mb: what `i1 generate` would announce of
// it. useful_gflop: of one step, multiplications and additions of the blocks on image tokens and
// valid text tokens, adapter left out; product_fraction: their rate over the best rate of our large
// products in the same precision; library_fraction: over that of LibTorch's (oneDNN, MKL), which
// has none for int8, so in the dtype of the rest.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "benchmarks/program.h"
#include "i1/core/error.h"
#include "i1/core/fields.h"
#include "i1/core/files.h"
#include "i1/core/memory.h"
#include "i1/core/random.h"
#include "i1/kernels/int8_linear.h"
#include "i1/kernels/linear.h"
#include "i1/pipeline.h"

namespace i1 {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Watches memory of the process beside what it maps: the kernel keeps a peak of the sum alone.
class OwnMemory {
 public:
  OwnMemory()
      : thread_([this] {
          while (!is_done_) {
            peak_ = std::max<int64_t>(peak_, own_memory());
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
          }
        }) {}
  ~OwnMemory() { peak(); }

  int64_t peak_so_far() const { return peak_; }

  int64_t peak() {
    is_done_ = true;
    if (thread_.joinable()) thread_.join();
    return peak_;
  }

 private:
  std::atomic<bool> is_done_ = false;
  std::atomic<int64_t> peak_ = 0;
  std::thread thread_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

// Of one guided step: two samples of the same picture and the same number of text tokens.
double useful_flop(const ModelConfig& config, const Request& request, int64_t num_text) {
  const int64_t patch = 8 * config.patch_size;
  const int64_t num_image = (request.width / patch) * (request.height / patch);
  DualStream model = make_dual_stream(config);
  double macs = 0;
  int64_t num_blocks = 0;
  for_each_tensor(model, "", [&](const std::string& key, at::Tensor& tensor) {
    if (key.find("blocks.") == std::string::npos && !key.starts_with("mid_block.")) return;
    if (key.starts_with("text_encoder_adapter.")) return;
    num_blocks += key.ends_with("attn.qkv_image.weight");
    if (tensor.dim() < 2) return;
    const bool is_image = key.find("_image.") != std::string::npos;
    macs += static_cast<double>(tensor.numel() * (is_image ? num_image : num_text));
  });
  const auto num_tokens = static_cast<double>(num_image + num_text);
  macs += static_cast<double>(num_blocks * config.hidden_size) * 2 * num_tokens * num_tokens;
  return 2 * 2 * macs;
}

// The best rates of several large products, FLOP a second.
struct ProductRates {
  double own = 0, library = 0;
};

// (2048 x 2048) (2048 x 6144), taking turns.
ProductRates product_rates(Precision precision) {
  constexpr int64_t kRows = 2048, kIn = 2048, kOut = 6144, kRepeats = 12;
  const RandomStream stream{0, fnv1a("benchmark")};
  const at::Tensor x = normal_tensor({kRows, kIn}, stream.child("x")).to(precision.dtype);
  const at::Tensor w = normal_tensor({kOut, kIn}, stream.child("w")).to(precision.dtype);
  const Int8Rows rounded = quantize_to_int8(w, kWholeRow);
  const at::Tensor panels = pack_int8(rounded.values), row_scale = rounded.scale.flatten();
  const at::Tensor bias = at::zeros({kOut}, x.options());
  const auto time = [](double& best, const auto& product) {
    const auto begin = Clock::now();
    product();
    best = std::max(best, 2.0 * kRows * kIn * kOut / seconds_since(begin));
  };
  ProductRates rates;
  for (int64_t i = 0; i < kRepeats; ++i) {
    time(rates.own, [&] {
      return precision.has_int8_weights ? int8_linear(x, {panels, row_scale, bias})
                                        : i1::linear(x, w, bias);
    });
    time(rates.library, [&] { return at::linear(x, w, bias); });
  }
  return rates;
}

int run(int argc, char** argv) {
  const auto begin = Clock::now();
  CLI::App app("Times one picture of given files.");
  ModelFiles files;
  std::string dtype = "bfloat16";
  int num_threads = 2;
  Request request;
  request.prompt = "a red fox in fresh snow at sunrise, a photograph with a long lens";
  request.num_steps = 3;
  app.add_option("--model", files.model)->required();
  app.add_option("--text-encoder", files.text_encoder);
  app.add_option("--vae", files.vae);
  app.add_option("--size", request.width, "pixels a side");
  app.add_option("--steps", request.num_steps);
  app.add_option("--dtype", dtype)->check(CLI::IsMember({"float32", "bfloat16", "int8"}));
  app.add_option("--threads", num_threads);
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(num_threads);
  request.height = request.width;
  std::string why;
  const Precision precision = choose_precision(dtype, at::kCPU, why);
  OwnMemory memory;
  Bundle bundle = load_model(files, program_folder(), at::kCPU, precision);
  const auto num_text = static_cast<int64_t>(bundle.tokenizer.encode(request.prompt).size());
  const Pipeline pipeline(std::move(bundle), at::kCPU, precision);
  request = pipeline.complete(request);
  const MemoryPlan plan = pipeline.plan(request, 1);
  std::vector<double> ends;
  double done = 0;
  int64_t own_sampling = 0;
  pipeline.generate(
      {request}, 1, [&](size_t, const Image&) { done = seconds_since(begin); },
      [&](int64_t, int64_t) {
        ends.push_back(seconds_since(begin));
        own_sampling = memory.peak_so_far();
      });
  std::vector<double> steps;
  for (size_t i = 1; i < ends.size(); ++i) steps.push_back(ends[i] - ends[i - 1]);
  check_user(!steps.empty(), "--steps: at least 2, the first also reads the weights");
  const double step = median(steps);
  const int64_t own = memory.peak();
  const int64_t resident = peak_memory();
  const at::NoGradGuard no_grad;
  const double flop = useful_flop(pipeline.config().model, request, num_text);
  const ProductRates rates = product_rates(precision);
  const auto megabytes = [](int64_t bytes) { return bytes / 1'000'000; };
  const nlohmann::ordered_json line = {
      {"size", request.width},
      {"dtype", dtype},
      {"threads", num_threads},
      {"seconds_to_sampling", ends.front() - step},
      {"seconds_step", step},
      {"seconds_step_min", *std::min_element(steps.begin(), steps.end())},
      {"seconds_step_max", *std::max_element(steps.begin(), steps.end())},
      {"seconds_decode", done - ends.back()},
      {"own_sampling_mb", megabytes(own_sampling)},
      {"own_mb", megabytes(own)},
      {"planned_mb", megabytes(plan.peak())},
      {"resident_mb", megabytes(resident)},
      {"useful_gflop", flop / 1e9},
      {"product_gflop_a_second", rates.own / 1e9},
      {"product_fraction", flop / step / rates.own},
      {"library_gflop_a_second", rates.library / 1e9},
      {"library_fraction", flop / step / rates.library}};
  std::printf("%s\n", line.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) { return i1::run_program("picture", i1::run, argc, argv); }
