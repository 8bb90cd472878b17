// The index of the synapses as the loops read it, and how the batch is cut.
#pragma once

#include <type_traits>

#include "kernels.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace sparsebrain {
namespace {

// A state of this size stays in a core's own cache with what is read beside it.
constexpr int64_t kCacheBytes = 512 * 1024;
constexpr int kLine = 64;
constexpr int kAhead = 16;
constexpr int kFarAhead = 32;
constexpr int kWidths[] = {64, 32, 16, 8, 4, 2, 1};

// Whether the loops are compiled for tiles of `width` columns, whose states are kept as `Stored`. Every
// width takes seconds to compile. Few are there for 64-bit indices, which only a graph of 2^31 synapses
// needs, and for processors without AVX2.
template <class Stored, class Index>
constexpr bool has_width(int width) {
#if defined(__x86_64__) && !defined(__AVX2__)
  constexpr bool few = true;
#else
  constexpr bool few = sizeof(Index) == 8;
#endif
  if (few) return width == 16 || width == 4 || width == 1;
  if (sizeof(Stored) == 8) return width != 64;
  if (sizeof(Stored) == 2) return width != 8 && width != 2;
  return true;
}

inline void barrier() {
#if defined(_OPENMP)
#pragma omp barrier
#endif
}

// A flag that any thread may set.
inline void set(int &flag) {
#pragma omp atomic write
  flag = 1;
}

inline bool is_set(const int &flag) {
  int value;
#pragma omp atomic read
  value = flag;
  return value;
}

struct Range {
  int64_t begin, end;
};

template <class Index>
struct Csr {
  Csr(const Rows &rows, const Problem &p)
      : neurons(p.neurons),
        synapses(p.synapses),
        pointer(static_cast<const Index *>(rows.pointer)),
        neuron(static_cast<const Index *>(rows.neuron)),
        order(static_cast<const Index *>(rows.order)) {}

  // Where the share of one thread begins: rows and synapses are balanced together.
  int64_t begin_of(int64_t rows, int64_t synapses, int thread, int threads) const {
    const int64_t wanted = (rows + synapses) * thread / threads;
    int64_t low = 0, high = rows;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (pointer[middle] + middle < wanted)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

  // Whether the rows of a state, so many bytes apart, outgrow the cache.
  bool is_far(int64_t stride) const { return neurons * stride > kCacheBytes; }

  // Whether rows follow each other and hold all synapses. Whoever has the arrays can write into them
  // without a trace, so that no check of an earlier call holds.
  bool is_cut_in_rows(int threads) const {
    if (pointer[0] != 0 || pointer[neurons] != synapses) return false;
    int falls = 0;
#pragma omp parallel for num_threads(threads) if (threads > 1) reduction(| : falls)
    for (int64_t row = 0; row < neurons; ++row) falls |= pointer[row + 1] < pointer[row];
    return !falls;
  }

  // Whether the places from `begin` to `end` lead to no neuron and no synapse that is not there.
  bool leads_inside(int64_t begin, int64_t end) const {
    return is_below(neuron, begin, end, neurons) && (!order || is_below(order, begin, end, synapses));
  }

  // Both, for all rows at once.
  bool is_sound(int threads) const {
    if (!is_cut_in_rows(threads)) return false;
    int astray = 0;
#pragma omp parallel for num_threads(threads) if (threads > 1) reduction(| : astray)
    for (int share = 0; share < threads; ++share)
      astray |= !leads_inside(synapses * share / threads, synapses * (share + 1) / threads);
    return !astray;
  }

  static bool is_below(const Index *values, int64_t begin, int64_t end, int64_t limit) {
    // A negative number is a large one without its sign.
    using Unsigned = std::make_unsigned_t<Index>;
    Unsigned most = 0;
    for (int64_t at = begin; at < end; ++at)
      most = Unsigned(values[at]) > most ? Unsigned(values[at]) : most;
    return begin >= end || most < Unsigned(limit);
  }

  // Copies weights from the order of the synapses to that of these rows.
  template <class Real>
  void arrange(Range rows, const Real *weight, Real *to) const {
    const Index end = pointer[rows.end];
    for (Index at = pointer[rows.begin]; at < end; ++at) {
      if (at + kFarAhead < end) __builtin_prefetch(weight + order[at + kFarAhead]);
      to[at] = weight[order[at]];
    }
  }

  int64_t neurons, synapses;
  const Index *pointer;
  const Index *neuron;
  const Index *order;
};

// Columns [begin, begin + width) of the batch.
struct Tile {
  int64_t begin;
  int width;
};

// The widest tile of at most `most` columns that still fits; the batch is cut without padding.
template <class Stored, class Index>
Tile tile_at(int64_t begin, int64_t batch, int64_t most) {
  for (int width : kWidths)
    if (has_width<Stored, Index>(width) && width <= most && begin + width <= batch)
      return {begin, width};
  return {begin, 1};
}

}  // namespace
}  // namespace sparsebrain
