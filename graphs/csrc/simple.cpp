// What measures look at first: whether synapses are in order, and the simple graph that they make.
#include <vector>

#include "rows.hpp"

namespace compiled {
namespace {

void check_lengths(const Index &source, const Index &target, int64_t neurons) {
  if (neurons < 0 || source.size() != target.size())
    throw std::invalid_argument("source and target must be of one length, neurons not negative");
}

bool is_neuron(int64_t end, int64_t neurons) { return uint64_t(end) < uint64_t(neurons); }

bool all_neurons(const Index &source, const Index &target, int64_t neurons) {
  bool inside = true;
  for (size_t at = 0; at < source.size(); ++at)
    inside &= is_neuron(source.data()[at], neurons) & is_neuron(target.data()[at], neurons);
  return inside;
}

nb::tuple survey(const Index &source, const Index &target, int64_t neurons) {
  check_lengths(source, target, neurons);
  const int64_t size = int64_t(source.size()), *from = source.data(), *to = target.data();
  int64_t wrong = -1;
  bool rising = true;
  {
    nb::gil_scoped_release unlocked;
    bool inside = !size || (is_neuron(from[0], neurons) & is_neuron(to[0], neurons));
    for (int64_t at = 1; at < size; ++at) {
      inside &= is_neuron(from[at], neurons) & is_neuron(to[at], neurons);
      rising &= (to[at] > to[at - 1]) | ((to[at] == to[at - 1]) & (from[at] > from[at - 1]));
    }
    if (!inside)
      for (wrong = 0; is_neuron(from[wrong], neurons) && is_neuron(to[wrong], neurons);) ++wrong;
  }
  return nb::make_tuple(wrong, rising);
}

// Sources of each target, or of each neuron its neighbours, as they come; self-loops are left out.
Rows gathered(const Index &source, const Index &target, int64_t neurons, bool directed) {
  const int64_t size = int64_t(source.size()), *from = source.data(), *to = target.data();
  if (!all_neurons(source, target, neurons))
    throw std::out_of_range("an end of a synapse is no neuron");
  Rows rows{std::vector<int64_t>(neurons + 1, 0), {}};
  for (int64_t at = 0; at < size; ++at) {
    const bool apart = from[at] != to[at];
    rows.pointer[to[at] + 1] += apart;
    if (!directed) rows.pointer[from[at] + 1] += apart;
  }
  for (int64_t row = 0; row < neurons; ++row) rows.pointer[row + 1] += rows.pointer[row];
  rows.index.resize(rows.pointer[neurons]);
  std::vector<int64_t> next(rows.pointer.begin(), rows.pointer.end() - 1);
  for (int64_t at = 0; at < size; ++at) {
    if (from[at] == to[at]) continue;
    rows.index[next[to[at]]++] = int32_t(from[at]);
    if (!directed) rows.index[next[from[at]]++] = int32_t(to[at]);
  }
  return rows;
}

// Drops what a sorted row holds again.
void deduplicate(Rows &rows) {
  int64_t kept = 0, first = 0;
  for (int64_t row = 0; row < rows.size(); ++row) {
    const int64_t last = rows.pointer[row + 1], start = kept;
    for (int64_t at = first; at < last; ++at)
      if (kept == start || rows.index[at] != rows.index[kept - 1]) rows.index[kept++] = rows.index[at];
    first = last;
    rows.pointer[row + 1] = kept;
  }
  rows.index.resize(kept);
}

void check_sizes(const Index &source, const Index &target, int64_t neurons) {
  check_lengths(source, target, neurons);
  if (neurons > std::numeric_limits<int32_t>::max() ||
      source.size() > size_t(std::numeric_limits<int32_t>::max()) / 2)
    throw std::invalid_argument("more neurons or synapses than 32-bit numbers count");
}

template <class Value>
nb::ndarray<nb::numpy, int32_t> handed_out(const std::vector<Value> &values) {
  Fresh<int32_t> copy(values.size());
  std::copy(values.begin(), values.end(), copy.get());
  return copy.as({values.size()});
}

nb::tuple simple_rows(const Index &source, const Index &target, int64_t neurons, bool directed) {
  Rows rows;
  {
    nb::gil_scoped_release unlocked;
    check_sizes(source, target, neurons);
    // Turned around, rows are sorted; without direction they are the same either way.
    rows = transposed(gathered(source, target, neurons, directed));
    deduplicate(rows);
  }
  return nb::make_tuple(handed_out(rows.pointer), handed_out(rows.index));
}

// How many synapses of a simple graph their target answers.
int64_t answered(const Index &source, const Index &target, int64_t neurons) {
  nb::gil_scoped_release unlocked;
  check_sizes(source, target, neurons);
  const Rows in = gathered(source, target, neurons, true), out = transposed(in);
  std::vector<int32_t> sender(neurons, -1);
  int64_t answers = 0;
  for (int64_t row = 0; row < neurons; ++row) {
    for (const int32_t *each = in.begin(row); each != in.end(row); ++each)
      sender[*each] = int32_t(row);
    for (const int32_t *each = out.begin(row); each != out.end(row); ++each)
      answers += sender[*each] == row;
  }
  return answers;
}

// Of each neuron the number of its weakly connected part, parts numbered by their first neurons.
NewIndex weak_parts(const Index &source, const Index &target, int64_t neurons) {
  check_lengths(source, target, neurons);
  Fresh<int64_t> part(neurons);
  {
    nb::gil_scoped_release unlocked;
    if (!all_neurons(source, target, neurons))
      throw std::out_of_range("an end of a synapse is no neuron");
    // Who stands for whom: the lowest of those that are found to be together, so that roots come
    // before all others.
    int64_t *above = part.get();
    for (int64_t each = 0; each < neurons; ++each) above[each] = each;
    const auto root = [above](int64_t each) {
      while (above[each] != each) each = above[each] = above[above[each]];
      return each;
    };
    for (size_t at = 0; at < source.size(); ++at) {
      const int64_t one = root(source.data()[at]), other = root(target.data()[at]);
      above[std::max(one, other)] = std::min(one, other);
    }
    int64_t parts = 0;
    for (int64_t each = 0; each < neurons; ++each)
      above[each] = above[each] == each ? parts++ : above[above[each]];
  }
  return part.as({size_t(neurons)});
}

}  // namespace

void register_simple(nb::module_ &m) {
  m.def("survey", &survey, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"),
        "Which synapse is the first with an end that is no neuron, or -1; whether (target, source) "
        "rises from each to the next.");
  m.def("simple_rows", &simple_rows, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), nb::arg("directed"),
        "Pointers and indices of a CSR, sorted, without self-loops and parallel synapses.");
  m.def("answered", &answered, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "Synapses of a simple graph that go both ways.");
  m.def("weak_parts", &weak_parts, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "Of each neuron the number of its weakly connected part.");
}

}  // namespace compiled
