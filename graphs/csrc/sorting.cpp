// Synapses in canonical order: a stable sort by target, then by source.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "ends.hpp"
#include "keys.hpp"
#include "threads.hpp"

namespace compiled {
namespace {

// Divides [0, neurons) into shares. Each thread passes over all synapses and processes only the
// targets of its share, so that no two threads write to the same place and the sort is stable.
int64_t share(int64_t neurons, int64_t number, int64_t shares) { return neurons * number / shares; }
constexpr int64_t kShares = 16;

// Every share costs a pass over all synapses, so more than two do not pay off.
int64_t passes() { return std::min(threads(), 2); }

std::vector<int64_t> pointers(const int64_t *target, int64_t size, int64_t neurons) {
  std::vector<int64_t> pointer(neurons + 1, 0);
  const int64_t parts = passes();
#pragma omp parallel for schedule(static, 1)
  for (int64_t number = 0; number < parts; ++number) {
    const int64_t low = share(neurons, number, parts), high = share(neurons, number + 1, parts);
    for (int64_t at = 0; at < size; ++at)
      if (target[at] >= low && target[at] < high) ++pointer[target[at] + 1];
  }
  for (int64_t row = 0; row < neurons; ++row) pointer[row + 1] += pointer[row];
  return pointer;
}

// An entry of a row before sorting: the source and the position of the synapse.
struct Entry {
  int64_t source, synapse;
  bool operator<(const Entry &other) const {
    return source < other.source || (source == other.source && synapse < other.synapse);
  }
};
struct Plain {
  int64_t source;
  bool operator<(const Plain &other) const { return source < other.source; }
};
inline void fill(Entry &entry, int64_t source, int64_t synapse) { entry = {source, synapse}; }
inline void fill(Plain &entry, int64_t source, int64_t) { entry = {source}; }

template <class Each>
void gather(const int64_t *source, const int64_t *target, int64_t size, int64_t neurons,
            const std::vector<int64_t> &pointer, Each *rows) {
  std::vector<int64_t> next(pointer.begin(), pointer.end() - 1);
  const int64_t parts = passes();
#pragma omp parallel for schedule(static, 1)
  for (int64_t number = 0; number < parts; ++number) {
    const int64_t low = share(neurons, number, parts), high = share(neurons, number + 1, parts);
    for (int64_t at = 0; at < size; ++at)
      if (target[at] >= low && target[at] < high) fill(rows[next[target[at]]++], source[at], at);
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t number = 0; number < kShares; ++number)
    for (int64_t row = share(neurons, number, kShares); row < share(neurons, number + 1, kShares);
         ++row)
      sort_short(rows + pointer[row], rows + pointer[row + 1]);
}

NewIndex sorted_edges(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  const int64_t size = all.size;
  Fresh<int64_t> edges(2 * size);
  {
    nb::gil_scoped_release unlocked;
    checked(all);
    const std::vector<int64_t> pointer = pointers(target.data(), size, neurons);
    static_assert(sizeof(Plain) == sizeof(int64_t), "a row of sources is a row of numbers");
    gather(source.data(), target.data(), size, neurons, pointer,
           reinterpret_cast<Plain *>(edges.get()));
    for (int64_t row = 0; row < neurons; ++row)
      std::fill(edges.get() + size + pointer[row], edges.get() + size + pointer[row + 1], row);
  }
  return edges.as({2, size_t(size)});
}

NewIndex canonical_order(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  const int64_t size = all.size;
  Fresh<int64_t> order(size);
  {
    nb::gil_scoped_release unlocked;
    checked(all);
    const std::vector<int64_t> pointer = pointers(target.data(), size, neurons);
    std::unique_ptr<Entry[]> rows(new Entry[size]);
    gather(source.data(), target.data(), size, neurons, pointer, rows.get());
#pragma omp parallel for
    for (int64_t at = 0; at < size; ++at) order.get()[at] = rows[at].synapse;
  }
  return order.as({size_t(size)});
}

}  // namespace

void register_sorting(nb::module_ &m) {
  m.def("sorted_edges", &sorted_edges, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "Edges [2, E] by (target, source).");
  m.def("canonical_order", &canonical_order, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "The stable permutation [E] that sorts by (target, source).");
}

}  // namespace compiled
