// What bfloat16 and int8 weights cost: the pictures of a model in each precision beside those in
// float32, from equal noise. Prints the peak signal-to-noise ratio of each picture, in decibels
// (20 log10(255 / root mean square difference of a byte)), and the seconds a picture.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "i1/core/compute_dtype.h"
#include "i1/pipeline.h"

namespace i1 {
namespace {

const std::vector<std::string> kPrompts = {"a red apple on a blue plate",
                                           "a penguin",
                                           "a fire engine",
                                           "a yellow house under a tree",
                                           "three green circles and a black square",
                                           "a smiling face with sunglasses",
                                           "an astronaut",
                                           "the word HELLO in white on red"};

struct Pictures {
  std::vector<Image> images;
  double seconds = 0;  // a picture
};

Pictures draw(const std::string& model, const std::string& dtype, uint64_t seed) {
  std::string why;
  const Precision precision = choose_precision(dtype, at::kCPU, why);
  const Pipeline pipeline(load_model({model, "", ""}, ".", at::kCPU, precision), at::kCPU,
                          precision);
  std::vector<Request> requests;
  for (const std::string& prompt : kPrompts) {
    Request request;
    request.prompt = prompt;
    request.seed = seed;
    request.prompt_index = static_cast<int64_t>(requests.size());
    request.guidance_scale = pipeline.config().guidance_scale;
    requests.push_back(pipeline.complete(request));
  }
  const auto begin = std::chrono::steady_clock::now();
  Pictures pictures{pipeline.generate(requests, 1)};
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  pictures.seconds = taken.count() / static_cast<double>(requests.size());
  return pictures;
}

double signal_to_noise(const Image& image, const Image& exact) {
  double sum = 0;
  for (size_t i = 0; i < exact.pixels.size(); ++i)
    sum += std::pow(static_cast<double>(image.pixels[i]) - exact.pixels[i], 2);
  return 20 * std::log10(255 / std::sqrt(sum / static_cast<double>(exact.pixels.size())));
}

int run(int argc, char** argv) {
  CLI::App app("Pictures in bfloat16 and int8 beside float32, from equal noise.");
  std::string model = "nano";
  uint64_t seed = 0;
  app.add_option("--model", model);
  app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);
  const Pictures exact = draw(model, "float32", seed);
  std::printf("float32: %.2f s a picture\n", exact.seconds);
  for (const char* dtype : {"bfloat16", "int8"}) {
    const Pictures pictures = draw(model, dtype, seed);
    std::vector<double> decibels;
    for (size_t i = 0; i < kPrompts.size(); ++i) {
      decibels.push_back(signal_to_noise(pictures.images[i], exact.images[i]));
      std::printf("%s: %.1f dB, \"%s\"\n", dtype, decibels.back(), kPrompts[i].c_str());
    }
    std::printf("%s: %.2f s a picture, least %.1f dB, mean %.1f dB\n", dtype, pictures.seconds,
                *std::min_element(decibels.begin(), decibels.end()),
                std::accumulate(decibels.begin(), decibels.end(), 0.0) /
                    static_cast<double>(decibels.size()));
  }
  return 0;
}

}  // namespace
}  // namespace i1

int main(int argc, char** argv) { return i1::run(argc, argv); }
