// Weakly and strongly connected components, and their numbering by size.
#include "ends.hpp"

namespace compiled {
namespace {

// Returns the weakly connected component of each neuron, numbered by its first neuron.
NewIndex weak_parts(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  Fresh<int64_t> part(neurons);
  {
    nb::gil_scoped_release unlocked;
    checked(all);
    // A union-find forest in which the root of a set is its lowest neuron, so that roots precede
    // all other members.
    int64_t *above = part.get();
    for (int64_t each = 0; each < neurons; ++each) above[each] = each;
    const auto root = [above](int64_t each) {
      while (above[each] != each) each = above[each] = above[above[each]];
      return each;
    };
    for (int64_t at = 0; at < all.size; ++at) {
      const int64_t one = root(all.source[at]), other = root(all.target[at]);
      above[std::max(one, other)] = std::min(one, other);
    }
    int64_t parts = 0;
    for (int64_t each = 0; each < neurons; ++each)
      above[each] = above[each] == each ? parts++ : above[above[each]];
  }
  return part.as({size_t(neurons)});
}

// R. E. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1 (1972), without
// recursion. The number of a neuron is 0 before it is visited, and then its low link, the order of
// visit of the earliest neuron that it is known to lead back to. Once its component is known, the
// number is that of the component, from 2 N down to N + 1, which is larger than all of these.
class Search {
 public:
  explicit Search(const Rows &rows)
      : rows_(rows), next_(rows.pointer.begin(), rows.pointer.end() - 1), number_(rows.size(), 0) {}

  void write(int64_t *part) {
    const int32_t neurons = int32_t(rows_.size());
    for (int32_t each = 0; each < neurons; ++each)
      if (number_[each] == 0) from(each);
    for (int32_t each = 0; each < neurons; ++each)
      part[each] = int64_t(number_[each]) - neurons - 1;
  }

 private:
  void from(int32_t start) {
    enter(start);
    while (!path_.empty()) {
      const auto [each, met] = path_.back();
      const int64_t stop = rows_.pointer[each + 1];
      uint32_t low = number_[each];
      int64_t at = next_[each];
      // An unvisited neighbor is entered first; its number is read after the return from it.
      while (at < stop && number_[rows_.index[at]]) low = std::min(low, number_[rows_.index[at++]]);
      number_[each] = low;
      next_[each] = at;
      if (at < stop) {
        enter(rows_.index[at]);
        continue;
      }
      path_.pop_back();
      if (low == met) close(each);
    }
  }

  void enter(int32_t neuron) {
    number_[neuron] = ++met_;
    path_.emplace_back(neuron, met_);
    waiting_.push_back(neuron);
  }

  // All neurons on the stack since `first` was visited form a component with it.
  void close(int32_t first) {
    const uint32_t part = 2 * uint32_t(rows_.size()) - closed_++;
    int32_t each;
    do {
      each = waiting_.back();
      waiting_.pop_back();
      number_[each] = part;
    } while (each != first);
  }

  const Rows &rows_;
  std::vector<int64_t> next_;
  std::vector<uint32_t> number_;
  std::vector<std::pair<int32_t, uint32_t>> path_;
  std::vector<int32_t> waiting_;
  uint32_t met_ = 0, closed_ = 0;
};

// Returns the strongly connected component of each neuron, in arbitrary order.
NewIndex strong_parts(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  Fresh<int64_t> part(neurons);
  {
    nb::gil_scoped_release unlocked;
    check_sizes(all);
    // The reversed graph has the same components, and its rows need no sorting.
    const Rows rows = incoming(all, checked(all));
    Search(rows).write(part.get());
  }
  return part.as({size_t(neurons)});
}

// Numbers groups by decreasing size; equally large groups are in the order of their first members.
NewIndex by_size(const Index &group) {
  const int64_t members = int64_t(group.size()), *number = group.data();
  Fresh<int64_t> renumbered(members);
  {
    nb::gil_scoped_release unlocked;
    std::vector<int64_t> size(members, 0), order, starts(members + 2, 0);
    for (int64_t each = 0; each < members; ++each) {
      if (!is_neuron(number[each], members)) throw std::out_of_range("a group must be below N");
      if (size[number[each]]++ == 0) order.push_back(number[each]);
    }
    // Counting sort by decreasing size; equal sizes keep the order of the first members.
    for (const int64_t each : order) ++starts[members - size[each] + 1];
    for (int64_t at = 0; at <= members; ++at) starts[at + 1] += starts[at];
    for (const int64_t each : order) size[each] = starts[members - size[each]]++;
    for (int64_t each = 0; each < members; ++each) renumbered.get()[each] = size[number[each]];
  }
  return renumbered.as({size_t(members)});
}

}  // namespace

void register_components(nb::module_ &m) {
  m.def("weak_parts", &weak_parts, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "The weakly connected component of each neuron.");
  m.def("strong_parts", &strong_parts, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "The strongly connected component of each neuron.");
  m.def("by_size", &by_size, nb::arg("group").noconvert(), "Number groups by decreasing size.");
}

}  // namespace compiled
