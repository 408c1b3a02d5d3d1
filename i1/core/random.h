// Random numbers by position: the i-th number of a stream depends on seed, stream and i alone, so
// results do not depend on batch size, thread count or what was drawn before, and a run resumes
// from counters. Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3").
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace i1 {

/// One block of the generator.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// Names a sequence of random numbers. Streams with different seeds or ids are independent.
struct RandomStream {
  uint64_t seed = 0;
  uint64_t id = 0;

  uint32_t bits(uint64_t index) const;             ///< 32 random bits
  double uniform(uint64_t index) const;            ///< in [0, 1), 32 bits of resolution
  int64_t below(uint64_t index, int64_t n) const;  ///< in [0, n), n < 2^31

  /// The stream of a part: ("noise", step, sample). Hashes the words and numbers into the id.
  RandomStream child(std::string_view name, uint64_t first = 0, uint64_t second = 0) const;
};

/// Fills a contiguous float32 CPU tensor with the numbers 0, 1, ... of the stream.
void fill_uniform(at::Tensor& tensor, const RandomStream& stream, double low = 0, double high = 1);
/// Standard normals (Box-Muller on the pairs of a block, in double).
void fill_normal(at::Tensor& tensor, const RandomStream& stream);
/// Normals of standard deviation `sigma` cut at `cut` sigmas, by inversion.
void fill_truncated_normal(at::Tensor& tensor, const RandomStream& stream, double sigma,
                           double cut);

/// Standard normals of a shape, float32, CPU.
at::Tensor normal_tensor(at::IntArrayRef shape, const RandomStream& stream);

/// 64-bit FNV-1a of some bytes: the hash that splits and streams are keyed by, the same on every
/// machine.
uint64_t fnv1a(std::string_view bytes, uint64_t hash = 0xcbf29ce484222325);

}  // namespace i1
