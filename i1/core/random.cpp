#include "i1/core/random.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace i1 {
namespace {

constexpr double kScale = 1.0 / 4294967296.0;  // 2^-32

std::array<uint32_t, 4> block(const RandomStream& stream, uint64_t index) {
  return philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                 static_cast<uint32_t>(stream.id), static_cast<uint32_t>(stream.id >> 32)},
                {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)});
}

// Calls make(block, out) with four floats at a time; the last call's surplus is dropped.
template <class Make>
void fill_blocks(at::Tensor& tensor, const RandomStream& stream, Make&& make) {
  TORCH_CHECK(tensor.is_cpu() && tensor.is_contiguous() && tensor.scalar_type() == at::kFloat,
              "random fill needs a contiguous float32 CPU tensor");
  float* const out = tensor.data_ptr<float>();
  const int64_t count = tensor.numel(), num_blocks = (count + 3) / 4;
  at::parallel_for(0, num_blocks, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float values[4];
      make(block(stream, static_cast<uint64_t>(i)), values);
      std::copy_n(values, std::min<int64_t>(4, count - 4 * i), out + 4 * i);
    }
  });
}

// The normal quantile by rational approximation (Acklam), relative error below 1.2e-9: enough for
// float32.
double normal_quantile(double p) {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                          6.680131188771972e+01, -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                          3.754408661907416e+00};
  constexpr double kTail = 0.02425;
  const auto tail = [&](double q) {
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  };
  if (p < kTail) return tail(std::sqrt(-2 * std::log(p)));
  if (p > 1 - kTail) return -tail(std::sqrt(-2 * std::log(1 - p)));
  const double q = p - 0.5, r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53} * counter[0],
                   second = uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(second),
        static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

uint32_t RandomStream::bits(uint64_t index) const { return block(*this, index / 4)[index % 4]; }

double RandomStream::uniform(uint64_t index) const { return bits(index) * kScale; }

int64_t RandomStream::below(uint64_t index, int64_t n) const {
  return static_cast<int64_t>((uint64_t{bits(index)} * static_cast<uint64_t>(n)) >> 32);
}

RandomStream RandomStream::child(std::string_view name, uint64_t first, uint64_t second) const {
  const uint64_t numbers[] = {id, first, second};
  const std::string_view bytes(reinterpret_cast<const char*>(numbers), sizeof numbers);
  return {seed, fnv1a(name, fnv1a(bytes))};
}

uint64_t fnv1a(std::string_view bytes, uint64_t hash) {
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  return hash;
}

void fill_uniform(at::Tensor& tensor, const RandomStream& stream, double low, double high) {
  fill_blocks(tensor, stream, [=](const std::array<uint32_t, 4>& bits, float* out) {
    for (int i = 0; i < 4; ++i)
      out[i] = static_cast<float>(low + (high - low) * ((bits[i] + 0.5) * kScale));
  });
}

void fill_normal(at::Tensor& tensor, const RandomStream& stream) {
  fill_blocks(tensor, stream, [](const std::array<uint32_t, 4>& bits, float* out) {
    for (int i = 0; i < 4; i += 2) {
      const double radius = std::sqrt(-2 * std::log((bits[i] + 0.5) * kScale));
      const double angle = 2 * std::numbers::pi * ((bits[i + 1] + 0.5) * kScale);
      out[i] = static_cast<float>(radius * std::cos(angle));
      out[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
  });
}

void fill_truncated_normal(at::Tensor& tensor, const RandomStream& stream, double sigma,
                           double cut) {
  const double low = normal_cdf(-cut), width = normal_cdf(cut) - low;
  fill_blocks(tensor, stream, [=](const std::array<uint32_t, 4>& bits, float* out) {
    for (int i = 0; i < 4; ++i) {
      const double value = normal_quantile(low + width * ((bits[i] + 0.5) * kScale));
      out[i] = static_cast<float>(sigma * std::clamp(value, -cut, cut));
    }
  });
}

at::Tensor normal_tensor(at::IntArrayRef shape, const RandomStream& stream) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  fill_normal(tensor, stream);
  return tensor;
}

}  // namespace i1
