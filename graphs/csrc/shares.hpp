// Division of rows into shares, each of which is processed by one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>

namespace compiled {

inline int64_t share(int64_t rows, int64_t number, int64_t shares) {
  return rows / shares * number + std::min(rows % shares, number);
}

// Calls work(number, first, last) for every share of [0, rows). A thread may run out of memory; its
// exception is caught, since it must not leave the thread.
template <class Work>
void for_shares(int64_t rows, int64_t shares, Work work) {
  bool failed = false;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t number = 0; number < shares; ++number) {
    try {
      work(number, share(rows, number, shares), share(rows, number + 1, shares));
    } catch (const std::bad_alloc &) {
#pragma omp atomic write
      failed = true;
    }
  }
  if (failed) throw std::bad_alloc();
}

}  // namespace compiled
