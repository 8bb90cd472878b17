// Triangles of a graph, and the closed walks of three steps.
//
// Each triangle is found once, from its neuron of lowest degree: O(E^1.5). M. Latapy, "Main-memory
// triangle computations for very large (sparse (power-law)) graphs", Theor. Comput. Sci. 407
// (2008).
#include "rows.hpp"
#include "threads.hpp"

namespace compiled {
namespace {

constexpr int32_t kNone = std::numeric_limits<int32_t>::max();  // larger than any neuron number

// For each neuron its neighbors of higher degree, with a code of the synapses (1 if the neuron of
// the row sends, 2 if the neighbor sends, 3 if both do), and the number of all its neighbors.
struct Pairs {
  Rows rows;
  Many<uint8_t> code;
  std::vector<int32_t> degree;
};

// Calls visit(neighbor, code) for every neuron in the union of two sorted rows, in order.
template <class Visit>
void each_neighbor(const Rows &out, const Rows &in, int64_t row, Visit visit) {
  const int32_t *to = out.begin(row), *to_end = out.end(row);
  const int32_t *from = in.begin(row), *from_end = in.end(row);
  while (to != to_end || from != from_end) {
    const int32_t sent = to != to_end ? *to : kNone, received = from != from_end ? *from : kNone;
    const int32_t neighbor = std::min(sent, received);
    visit(neighbor, uint8_t((sent == neighbor) + 2 * (received == neighbor)));
    // Skip duplicates.
    while (to != to_end && *to == neighbor) ++to;
    while (from != from_end && *from == neighbor) ++from;
  }
}

Pairs upward(Rows out) {
  const Rows in = transposed(out);
  if (!sorted(out)) out = transposed(in);
  Pairs pairs{{std::vector<int64_t>(out.size() + 1, 0), {}}, {}, std::vector<int32_t>(out.size(), 0)};
  pairs.rows.index.resize(out.index.size() + in.index.size());
  pairs.code.resize(pairs.rows.index.size());
  int32_t *index = pairs.rows.index.data();
  std::vector<int64_t> &pointer = pairs.rows.pointer;
  int64_t at = 0;
  for (int64_t row = 0; row < out.size(); ++row) {
    each_neighbor(out, in, row, [&](int32_t neighbor, uint8_t code) {
      index[at] = neighbor;
      pairs.code[at++] = code;
    });
    pointer[row + 1] = at;
    pairs.degree[row] = int32_t(at - pointer[row]);
  }
  // Keep only neighbors of higher degree.
  int64_t kept = 0, first = 0;
  for (int64_t row = 0; row < out.size(); ++row) {
    const int64_t last = pointer[row + 1];
    const int32_t own = pairs.degree[row];
    for (at = first; at < last; ++at) {
      const int32_t neighbor = index[at], other = pairs.degree[neighbor];
      index[kept] = neighbor;
      pairs.code[kept] = pairs.code[at];
      kept += own < other || (own == other && row < neighbor);
    }
    first = last;
    pointer[row + 1] = kept;
  }
  return pairs;
}

constexpr int kTypes = 64;
constexpr int64_t kWays[] = {0, 1, 1, 2};

// The counts of one thread.
struct Count {
  explicit Count(int64_t neurons) : mark(neurons, 0), plain(neurons, 0), walks(neurons, 0) {}
  std::vector<uint8_t> mark;
  std::vector<int64_t> plain, walks;
  int64_t types[kTypes] = {};

  void add(const Pairs &pairs, int64_t low) {
    const Rows &rows = pairs.rows;
    const int64_t first = rows.pointer[low], last = rows.pointer[low + 1];
    for (int64_t at = first; at < last; ++at) mark[rows.index[at]] = pairs.code[at];
    for (int64_t at = first; at < last; ++at) {
      const int32_t middle = rows.index[at];
      const int code = pairs.code[at];
      int64_t found = 0, ways = 0;
      for (int64_t next = rows.pointer[middle]; next < rows.pointer[middle + 1]; ++next) {
        const int32_t high = rows.index[next];
        if (!mark[high]) continue;
        const int64_t product = kWays[code] * kWays[pairs.code[next]] * kWays[mark[high]];
        ++types[code + 4 * pairs.code[next] + 16 * mark[high]];
        ++plain[high], ++found;
        walks[high] += product, ways += product;
      }
      plain[middle] += found, plain[low] += found;
      walks[middle] += ways, walks[low] += ways;
    }
    for (int64_t at = first; at < last; ++at) mark[rows.index[at]] = 0;
  }
};

nb::tuple triangles(const Index &pointer, const Columns &index) {
  const size_t neurons = pointer.size() ? pointer.size() - 1 : 0;
  Fresh<int64_t> degree(neurons), plain(neurons), walks(neurons), types(kTypes);
  {
    nb::gil_scoped_release unlocked;
    const Pairs pairs = upward(checked(pointer, index));
    std::vector<Count> counts(threads(), Count(int64_t(neurons)));
#pragma omp parallel for schedule(dynamic, 64)
    for (int64_t low = 0; low < int64_t(neurons); ++low) counts[thread()].add(pairs, low);
    std::copy(pairs.degree.begin(), pairs.degree.end(), degree.get());
    std::fill_n(plain.get(), neurons, 0);
    std::fill_n(walks.get(), neurons, 0);
    std::fill_n(types.get(), kTypes, 0);
    for (const Count &count : counts) {
      for (size_t neuron = 0; neuron < neurons; ++neuron) {
        plain.get()[neuron] += count.plain[neuron];
        walks.get()[neuron] += count.walks[neuron];
      }
      for (int type = 0; type < kTypes; ++type) types.get()[type] += count.types[type];
    }
  }
  return nb::make_tuple(degree.as({neurons}), plain.as({neurons}), walks.as({neurons}),
                        types.as({kTypes}));
}

NewIndex closed_walks(const Index &pointer, const Columns &index, const Index &value,
                      const Index &chosen) {
  const int64_t size = int64_t(chosen.size());
  Fresh<int64_t> closed(size);
  {
    nb::gil_scoped_release unlocked;
    const Rows rows = checked(pointer, index);
    check_neurons(chosen, rows.size());
    if (value.size() != index.size()) throw std::invalid_argument("one value for each synapse");
    const int64_t *values = value.data();
    std::vector<std::vector<int64_t>> marks(threads(), std::vector<int64_t>(rows.size(), 0));
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t each = 0; each < size; ++each) {
      std::vector<int64_t> &mark = marks[thread()];
      const int64_t first = rows.pointer[chosen.data()[each]];
      const int64_t last = rows.pointer[chosen.data()[each] + 1];
      for (int64_t at = first; at < last; ++at) mark[rows.index[at]] = values[at];
      int64_t sum = 0;
      for (int64_t at = first; at < last; ++at) {
        int64_t onward = 0;
        const int32_t middle = rows.index[at];
        for (int64_t next = rows.pointer[middle]; next < rows.pointer[middle + 1]; ++next)
          onward += values[next] * mark[rows.index[next]];
        sum += values[at] * onward;
      }
      closed.get()[each] = sum;
      for (int64_t at = first; at < last; ++at) mark[rows.index[at]] = 0;
    }
  }
  return closed.as({size_t(size)});
}

}  // namespace

void register_triangles(nb::module_ &m) {
  m.def("triangles", &triangles, nb::arg("pointer").noconvert(), nb::arg("index").noconvert(),
        "For each neuron: the numbers of neighbors and of triangles, and the triangles weighted by the "
        "product of the synapses on each side; and the number of triangles of each of 64 codes.");
  m.def("closed_walks", &closed_walks, nb::arg("pointer").noconvert(), nb::arg("index").noconvert(),
        nb::arg("value").noconvert(), nb::arg("chosen").noconvert(),
        "Number of closed walks of three steps from each chosen neuron, by symmetric rows.");
}

}  // namespace compiled
