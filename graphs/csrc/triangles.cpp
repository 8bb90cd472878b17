// Triangles of the neurons' neighbourhoods, and the walks of three steps that they close.
//
// Each triangle is found once, from its neuron of lowest degree: O(E^1.5). M. Latapy, "Main-memory
// triangle computations for very large (sparse (power-law)) graphs", Theor. Comput. Sci. 407
// (2008).
#include <tuple>

#include "rows.hpp"
#include "threads.hpp"

namespace compiled {
namespace {

// Neighbours on the far side of each pair that points up in degree, and who of the two sends: 1 the
// row, 2 the neighbour, 3 both.
struct Pairs {
  Rows rows;
  std::vector<uint8_t> code;
};

// Calls visit(row, neighbour, code) for every two neurons one of which sends to the other.
template <class Visit>
void merge(const Rows &out, const Rows &in, Visit visit) {
  for (int64_t row = 0; row < out.size(); ++row) {
    const int32_t *sent = out.begin(row), *got = in.begin(row);
    while (sent != out.end(row) || got != in.end(row)) {
      if (got == in.end(row) || (sent != out.end(row) && *sent < *got))
        visit(row, *sent++, 1);
      else if (sent == out.end(row) || *got < *sent)
        visit(row, *got++, 2);
      else
        visit(row, (++got, *sent++), 3);
    }
  }
}

Pairs upward(const Rows &out) {
  // Twice transposed, rows are sorted.
  const Rows in = transposed(out), sorted = transposed(in);
  std::vector<int32_t> degree(out.size(), 0);
  merge(sorted, in, [&](int64_t row, int32_t, int) { ++degree[row]; });
  Pairs pairs;
  pairs.rows.pointer.assign(out.size() + 1, 0);
  merge(sorted, in, [&](int64_t row, int32_t neighbor, int code) {
    if (std::tie(degree[row], row) >= std::make_tuple(degree[neighbor], int64_t(neighbor))) return;
    pairs.rows.index.push_back(neighbor);
    pairs.code.push_back(uint8_t(code));
    ++pairs.rows.pointer[row + 1];
  });
  std::vector<int64_t> &pointer = pairs.rows.pointer;
  for (int64_t row = 0; row < out.size(); ++row) pointer[row + 1] += pointer[row];
  return pairs;
}

constexpr int kTypes = 64;
constexpr int64_t kWays[] = {0, 1, 1, 2};

// What one thread counts.
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

nb::tuple triangles(const Index &pointer, const Index &index) {
  const size_t neurons = pointer.size() ? pointer.size() - 1 : 0;
  Fresh<int64_t> plain(neurons), walks(neurons), types(kTypes);
  {
    nb::gil_scoped_release unlocked;
    const Pairs pairs = upward(checked(pointer, index));
    std::vector<Count> counts(threads(), Count(int64_t(neurons)));
#pragma omp parallel for schedule(dynamic, 64)
    for (int64_t low = 0; low < int64_t(neurons); ++low) counts[thread()].add(pairs, low);
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
  return nb::make_tuple(plain.as({neurons}), walks.as({neurons}), types.as({kTypes}));
}

NewIndex closed_walks(const Index &pointer, const Index &index, const Index &value,
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
        "Of each neuron: its triangles, and these weighted by the product of the synapses on each "
        "side; and how many triangles there are of each of 64 codes.");
  m.def("closed_walks", &closed_walks, nb::arg("pointer").noconvert(), nb::arg("index").noconvert(),
        nb::arg("value").noconvert(), nb::arg("chosen").noconvert(),
        "Walks of three steps from each chosen neuron back, by symmetric rows.");
}

}  // namespace compiled
