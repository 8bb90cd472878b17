// Preparation for measures: checks the order of the synapses and builds the simple graph.
#include "ends.hpp"

namespace compiled {
namespace {

nb::tuple survey(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  Seen seen;
  int64_t wrong = -1;
  {
    nb::gil_scoped_release unlocked;
    seen = look_through(all);
    if (!seen.inside)
      for (wrong = 0; is_neuron(all.source[wrong], neurons) && is_neuron(all.target[wrong], neurons);)
        ++wrong;
  }
  return nb::make_tuple(wrong, seen.inside && seen.rising, seen.inside ? seen.self_loops : 0);
}

// Merges the sorted rows of two matrices, without duplicates.
Rows merged(const Rows &one, const Rows &other) {
  Rows both{std::vector<int64_t>(one.pointer.size(), 0), {}};
  both.index.resize(one.index.size() + other.index.size());
  int64_t kept = 0;
  for (int64_t row = 0; row < one.size(); ++row) {
    const int32_t *left = one.begin(row), *right = other.begin(row);
    const int32_t *left_end = one.end(row), *right_end = other.end(row);
    const int64_t start = kept;
    while (left != left_end || right != right_end) {
      const bool take_left = right == right_end || (left != left_end && *left <= *right);
      const int32_t each = take_left ? *left++ : *right++;
      if (kept == start || both.index[kept - 1] != each) both.index[kept++] = each;
    }
    both.pointer[row + 1] = kept;
  }
  both.index.resize(kept);
  return both;
}

// Removes duplicates from sorted rows.
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

nb::tuple simple_rows(const Index &source, const Index &target, int64_t neurons, bool directed) {
  const Ends all = ends(source, target, neurons);
  Rows rows;
  {
    nb::gil_scoped_release unlocked;
    check_sizes(all);
    const Seen seen = checked(all);
    Rows in = incoming(all, seen);
    // Transposition sorts the rows.
    rows = transposed(in);
    if (!directed) {
      if (!seen.rising) in = transposed(rows);
      rows = merged(in, rows);
    } else if (!seen.rising) {
      deduplicate(rows);
    }
  }
  Many<int32_t> pointer(rows.pointer.begin(), rows.pointer.end());
  return nb::make_tuple(handed_out(std::move(pointer)), handed_out(std::move(rows.index)));
}

// Counts the reciprocal synapses of a simple graph.
int64_t answered(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  nb::gil_scoped_release unlocked;
  check_sizes(all);
  const Seen seen = checked(all);
  Rows rows = incoming(all, seen);
  if (!seen.rising) rows = transposed(rows);
  // The position reached in each row. Rows are visited in increasing order, so the values searched
  // for in a row increase as well.
  std::vector<int64_t> next(rows.pointer.begin(), rows.pointer.end() - 1);
  int64_t pairs = 0;
  for (int64_t row = 0; row < neurons; ++row) {
    const int32_t *each = rows.begin(row), *last = rows.end(row);
    for (; each != last && *each < row; ++each) {
      int64_t &at = next[*each];
      const int64_t stop = rows.pointer[*each + 1];
      while (at < stop && rows.index[at] < row) ++at;
      pairs += at < stop && rows.index[at] == row;
    }
    // Each pair is searched for only once, from the neuron with the higher number.
    next[row] = each - rows.index.data();
  }
  return 2 * pairs;
}

}  // namespace

void register_simple(nb::module_ &m) {
  m.def("survey", &survey, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"),
        "The first synapse with an end that is not a neuron, or -1; if there is none, also whether "
        "(target, source) increases from each synapse to the next, and the number of self-loops.");
  m.def("simple_rows", &simple_rows, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), nb::arg("directed"),
        "Pointers and indices of a CSR, sorted, without self-loops and parallel synapses.");
  m.def("answered", &answered, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), "Number of reciprocal synapses of a simple graph.");
}

}  // namespace compiled
