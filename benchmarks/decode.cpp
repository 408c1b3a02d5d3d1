// Decoding all at once beside decoding in bands of rows: time, memory and how far the pixels lie
// apart. Random weights of the published sizes, TAEF2's own. One JSON line a run.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/randn.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "benchmarks/random_vae.h"
#include "i1/core/memory.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

nlohmann::ordered_json decode(const Vae& vae, const at::Tensor& latents, int64_t band_rows,
                              at::Tensor& pixels) {
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak counts from here
  const int64_t before = peak_memory();
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();
  DecodeLimits limits;
  limits.band_rows = band_rows;
  limits.memory_bytes = int64_t{1} << 50;
  pixels = vae.decode(latents, limits);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  const double cpu_time = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  constexpr double kMiB = 1 << 20;
  return {{"vae", vae.name()},
          {"pixels", latents.size(2) * 8},
          {"band_rows", band_rows},
          {"threads", at::get_num_threads()},
          {"seconds", time.count()},
          {"cpu_seconds", cpu_time},
          {"mebibytes", std::round(static_cast<double>(peak_memory() - before) / kMiB)},
          {"estimated",
           std::round(static_cast<double>(vae.decode_bytes(latents.sizes(), band_rows)) / kMiB)}};
}

int run(int argc, char** argv) {
  CLI::App app("Decoding at once and in bands.");
  std::string name = "flux2", dtype = "float32";
  int64_t side = 256;
  int threads = 1;
  std::vector<int64_t> band_rows = {0, kBandRows};
  app.add_option("--vae", name, "flux2, qwen or taef2");
  app.add_option("--side", side, "pixels");
  app.add_option("--dtype", dtype, "float32 or bfloat16");
  app.add_option("--threads", threads);
  app.add_option("--band-rows", band_rows, "0: all at once");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(threads);
  const at::NoGradGuard no_grad;
  const Vae vae = random_vae(name, dtype == "float32" ? at::kFloat : at::kBFloat16);
  const at::Tensor latents = at::randn({1, vae.latent_channels(), side / 8, side / 8});
  at::Tensor first;
  for (const int64_t rows : band_rows) {
    at::Tensor pixels;
    nlohmann::ordered_json line = decode(vae, latents, rows, pixels);
    if (first.defined()) {
      line["largest_difference"] = at::abs(pixels - first).max().item<double>();
    } else {
      first = pixels;
    }
    line["dtype"] = dtype;
    std::cout << line.dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) { return i1::run(argc, argv); }
