#pragma once

#include <cstdint>

#include "i1/core/random.h"

namespace i1 {

/// Where `position` of 0..n-1 goes in a random permutation that `stream` names; no memory, a few
/// dozen random numbers. A balanced Feistel network on the smallest 4^k >= n, walked until it lands
/// below n (Black & Rogaway 2002, "Ciphers with Arbitrary Finite Domains").
int64_t permuted(int64_t position, int64_t n, const RandomStream& stream);

}  // namespace i1
