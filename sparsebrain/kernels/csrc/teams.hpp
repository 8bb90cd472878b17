// Scratch memory, the threads of a team, and the choice of a kernel by the width of a tile.
#pragma once

#include <cstdlib>

#include "index.hpp"

namespace sparsebrain {
namespace {

constexpr int64_t kWorthThreads = 200'000;

template <class Real>
class Buffer {
 public:
  explicit Buffer(int64_t size) {
    const size_t bytes = (sizeof(Real) * static_cast<size_t>(size) + 127) / 64 * 64;
    values_ = static_cast<Real *>(std::aligned_alloc(64, bytes));
  }
  ~Buffer() { std::free(values_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  Real *get() const { return values_; }
  explicit operator bool() const { return values_; }
  Real &operator[](int64_t at) const { return values_[at]; }

 private:
  Real *values_;
};

inline int thread_number() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

inline int team_size() {
#if defined(_OPENMP)
  return omp_get_num_threads();
#else
  return 1;
#endif
}

// Calls `Work::run<width>` with the width of a tile of tile_at<Stored, Index> as a constant.
template <class Stored, class Index, int most = kWidths[0], class Work>
void with_width(int width, const Work &work) {
  if constexpr (most == 1) {
    work.template run<1>();
  } else {
    if constexpr (has_width<Stored, Index>(most)) {
      if (width == most) return work.template run<most>();
    }
    with_width<Stored, Index, most / 2>(width, work);
  }
}

}  // namespace
}  // namespace sparsebrain
