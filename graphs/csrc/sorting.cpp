// Synapses in canonical order: a stable sort by target, then by source.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "ends.hpp"
#include "keys.hpp"
#include "partition.hpp"
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

// Writes the sources of each target in increasing order.
void gather(const int64_t *source, const int64_t *target, int64_t size, int64_t neurons,
            const std::vector<int64_t> &pointer, int64_t *rows) {
  std::vector<int64_t> next(pointer.begin(), pointer.end() - 1);
  const int64_t parts = passes();
#pragma omp parallel for schedule(static, 1)
  for (int64_t number = 0; number < parts; ++number) {
    const int64_t low = share(neurons, number, parts), high = share(neurons, number + 1, parts);
    for (int64_t at = 0; at < size; ++at)
      if (target[at] >= low && target[at] < high) rows[next[target[at]]++] = source[at];
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
    gather(source.data(), target.data(), size, neurons, pointer, edges.get());
    for (int64_t row = 0; row < neurons; ++row)
      std::fill(edges.get() + size + pointer[row], edges.get() + size + pointer[row + 1], row);
  }
  return edges.as({2, size_t(size)});
}

// Sorts by source and then by target, stably.
template <class Number>
void write_order(const Ends &all, int64_t *order) {
  Synapses<Number> spare(all.size), sorted(all.size);
  Synapse<Number> *into = sorted.get();
  Partition partition(all.size, all.neurons);
  partition.distribute<Number>(
      [&](int64_t at) {
        return Synapse<Number>{Number(all.source[at]), Number(all.target[at]), Number(at)};
      },
      spare.get());
  partition.sort(
      spare.get(),
      [=](int64_t place, const Synapse<Number> &each) {
        into[place] = {each.other, each.key, each.at};
      },
      [](int64_t, int64_t) {});
  partition.distribute<Number>([=](int64_t at) { return into[at]; }, spare.get());
  partition.sort(
      spare.get(), [=](int64_t place, const Synapse<Number> &each) { order[place] = each.at; },
      [](int64_t, int64_t) {});
}

NewIndex canonical_order(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  Fresh<int64_t> order(all.size);
  {
    nb::gil_scoped_release unlocked;
    checked(all);
    if (std::max(all.neurons, all.size) > std::numeric_limits<int32_t>::max())
      write_order<int64_t>(all, order.get());
    else
      write_order<int32_t>(all, order.get());
  }
  return order.as({size_t(all.size)});
}

}  // namespace

void register_sorting(nb::module_ &m) {
  m.def("sorted_edges", &sorted_edges, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "Edges [2, E] by (target, source).");
  m.def("canonical_order", &canonical_order, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "The stable permutation [E] that sorts by (target, source).");
}

}  // namespace compiled
