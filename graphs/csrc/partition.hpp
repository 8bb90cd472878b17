// Stable counting sorts of synapses by one of their ends.
//
// A single scatter of all synapses to their rows would miss the cache for almost every one. Synapses
// are therefore first distributed over groups of consecutive rows, and each group, which fits into a
// core's own cache, is then sorted by itself.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "threads.hpp"

namespace compiled {

// A synapse to be sorted: the end that it is sorted by, the other end, and its position.
template <class Number>
struct Synapse {
  Number key, other, at;
};

class Partition {
 public:
  // Sorts `size` synapses by keys in [0, rows).
  Partition(int64_t size, int64_t rows) : size_(size), rows_(rows) {
    int64_t groups = 1;
    while (groups < kMostGroups && groups * kGroup < size) groups *= 2;
    while ((rows - 1) >> shift_ >= groups) ++shift_;
    groups_ = rows == 0 ? 0 : ((rows - 1) >> shift_) + 1;
  }

  // Distributes synapse(0), synapse(1), ... over the groups, in this order within each of them.
  template <class Number, class Read>
  void distribute(const Read &synapse, Synapse<Number> *into) {
    const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(threads(), size_ / kGroup));
    std::vector<int64_t> next(parts * groups_, 0);
#pragma omp parallel for schedule(static, 1) num_threads(int(parts))
    for (int64_t part = 0; part < parts; ++part) {
      int64_t *count = next.data() + part * groups_;
      for (int64_t at = begin(part, parts); at < begin(part + 1, parts); ++at)
        ++count[synapse(at).key >> shift_];
    }
    starts_.assign(groups_ + 1, 0);
    int64_t total = 0;
    for (int64_t group = 0; group < groups_; ++group) {
      starts_[group] = total;
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t count = next[part * groups_ + group];
        next[part * groups_ + group] = total;
        total += count;
      }
    }
    starts_[groups_] = total;
#pragma omp parallel for schedule(static, 1) num_threads(int(parts))
    for (int64_t part = 0; part < parts; ++part) {
      int64_t *place = next.data() + part * groups_;
      for (int64_t at = begin(part, parts); at < begin(part + 1, parts); ++at) {
        const Synapse<Number> each = synapse(at);
        into[place[each.key >> shift_]++] = each;
      }
    }
  }

  // Calls write(place, synapse) for each of the distributed synapses with its sorted place, and
  // starts(row, place) for each row with the place of its first synapse.
  template <class Number, class Write, class Starts>
  void sort(const Synapse<Number> *from, const Write &write, const Starts &starts) const {
    std::vector<int64_t> next(rows_, 0);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t group = 0; group < groups_; ++group) {
      const int64_t first = group << shift_, last = std::min(first + (int64_t(1) << shift_), rows_);
      for (int64_t at = starts_[group]; at < starts_[group + 1]; ++at) ++next[from[at].key];
      int64_t place = starts_[group];
      for (int64_t row = first; row < last; ++row) {
        starts(row, place);
        place += std::exchange(next[row], place);
      }
      for (int64_t at = starts_[group]; at < starts_[group + 1]; ++at)
        write(next[from[at].key]++, from[at]);
    }
  }

 private:
  static constexpr int64_t kMostGroups = 1024, kGroup = 1 << 14;
  int64_t begin(int64_t part, int64_t parts) const {
    return size_ / parts * part + std::min(size_ % parts, part);
  }

  int64_t size_, rows_, groups_;
  int shift_ = 0;
  std::vector<int64_t> starts_;
};

// Synapses in uninitialized memory.
template <class Number>
class Synapses {
 public:
  explicit Synapses(int64_t size) : synapses_(new Synapse<Number>[size]) {
    prefer_large_pages(synapses_.get(), size * sizeof(Synapse<Number>));
  }
  Synapse<Number> *get() { return synapses_.get(); }

 private:
  std::unique_ptr<Synapse<Number>[]> synapses_;
};

}  // namespace compiled
