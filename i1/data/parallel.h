#pragma once

#include <ATen/Parallel.h>

#include <atomic>
#include <cstddef>

#include "i1/core/interrupt.h"

namespace i1 {

/// Calls run(i) for 0 <= i < count, by all threads, each taking the next when it is done: pictures
/// take very different times. Throws Interrupted, and what `run` throws.
template <class Run>
void for_each_in_parallel(size_t count, const Run& run) {
  std::atomic<size_t> next = 0;
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    for (size_t i = next++; i < count; i = next++) {
      check_interrupt();
      run(i);
    }
  });
}

}  // namespace i1
