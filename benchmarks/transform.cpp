// Decoding and the recipe's transform of the JPEGs of a folder, from memory, beside Pillow's
// (benchmarks/feed.sh): one JSON line. `--fast-decode` also tells how far its pixels lie off.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "benchmarks/program.h"
#include "i1/core/files.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

Image make(const std::string& bytes, int size, bool is_fast) {
  return decode_resized(std::as_bytes(std::span(bytes)), "picture", {size, size}, is_fast);
}

// Of all bytes of all pictures: mean and largest absolute difference, PSNR in dB.
nlohmann::ordered_json difference(const std::vector<std::string>& files, int size) {
  double sum = 0, squares = 0, count = 0;
  int largest = 0;
  for (const std::string& file : files) {
    const Image exact = make(file, size, false), fast = make(file, size, true);
    for (size_t i = 0; i < exact.pixels.size(); ++i) {
      const int d = std::abs(exact.pixels[i] - fast.pixels[i]);
      sum += d;
      squares += d * d;
      largest = std::max(largest, d);
    }
    count += static_cast<double>(exact.pixels.size());
  }
  return {{"mean", sum / count},
          {"largest", largest},
          {"psnr", 10 * std::log10(255 * 255 / (squares / count))}};
}

int run(int argc, char** argv) {
  CLI::App app("Decoding and transform of JPEGs.");
  fs::path folder;
  int size = 256, num_threads = 2;
  bool is_fast = false;
  app.add_option("FOLDER", folder)->required();
  app.add_option("--size", size);
  app.add_option("--threads", num_threads);
  app.add_flag("--fast-decode", is_fast);
  CLI11_PARSE(app, argc, argv);
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(read_file(entry.path()));
  make(files.front(), size, is_fast);
  const auto start = std::chrono::steady_clock::now();
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < num_threads; ++i) {
    threads.emplace_back([&] {
      for (size_t file; (file = next++) < files.size();) make(files[file], size, is_fast);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  nlohmann::ordered_json line = {
      {"program", is_fast ? "ours, fast" : "ours"},
      {"pictures_per_second", static_cast<double>(files.size()) / time.count()}};
  if (is_fast) line["difference"] = difference(files, size);
  std::cout << line.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) { return i1::run_program("transform", i1::run, argc, argv); }
