// Breadth-first searches from many sources at once, one bit each.
//
// M. Then et al., "The more the merrier: efficient multi-source graph traversal", PVLDB 8 (2014);
// steps that reach many neurons are computed backwards, from the unseen neurons: S. Beamer, K.
// Asanovic, D. Patterson, "Direction-optimizing breadth-first search", SC 2012.
#include <array>

#include "rows.hpp"
#include "threads.hpp"

namespace compiled {
namespace {

constexpr int64_t kWord = 64;

template <int Words>
struct Bits {
  uint64_t word[Words] = {};
  bool any() const {
    uint64_t all = 0;
    for (int at = 0; at < Words; ++at) all |= word[at];
    return all != 0;
  }
  Bits without(const Bits &other) const {
    Bits left;
    for (int at = 0; at < Words; ++at) left.word[at] = word[at] & ~other.word[at];
    return left;
  }
  void add(const Bits &other) {
    for (int at = 0; at < Words; ++at) word[at] |= other.word[at];
  }
};

// Counts how many times each bit was set. Plane p holds digit p of all counters, so that one
// addition with carry updates all counters of a word.
template <int Words>
class Counter {
 public:
  void add(Bits<Words> carry) {
    for (int plane = 0; plane < kPlanes && carry.any(); ++plane)
      for (int at = 0; at < Words; ++at) {
        const uint64_t both = planes_[plane].word[at] & carry.word[at];
        planes_[plane].word[at] ^= carry.word[at];
        carry.word[at] = both;
      }
    if (++added_ == (1 << kPlanes) - 1) flush();
  }
  // Returns the counts and resets them.
  std::array<int64_t, Words * kWord> take() {
    flush();
    const auto taken = counts_;
    counts_.fill(0);
    return taken;
  }

 private:
  static constexpr int kPlanes = 12;
  void flush() {
    for (int plane = 0; plane < kPlanes; ++plane) {
      for (int64_t bit = 0; bit < Words * kWord; ++bit)
        counts_[bit] += int64_t(planes_[plane].word[bit / kWord] >> (bit % kWord) & 1) << plane;
      planes_[plane] = {};
    }
    added_ = 0;
  }
  Bits<Words> planes_[kPlanes];
  std::array<int64_t, Words * kWord> counts_{};
  int added_ = 0;
};

// The memory of one thread, allocated before threads start, so that an error can be raised.
template <int Words>
struct Search {
  explicit Search(int64_t neurons) : seen(neurons), front(neurons), next(neurons) {
    for (auto *list : {&active, &touched, &unseen}) list->reserve(neurons);
  }
  std::vector<Bits<Words>> seen, front, next;
  std::vector<int32_t> active, touched, unseen;
  Counter<Words> counter;

  void push(const Rows &out) {
    for (int32_t neuron : active) {
      const Bits<Words> walkers = front[neuron];
      for (const int32_t *target = out.begin(neuron); target != out.end(neuron); ++target) {
        const Bits<Words> news = walkers.without(seen[*target]);
        if (!news.any()) continue;
        if (!next[*target].any()) touched.push_back(*target);
        next[*target].add(news);
      }
    }
  }

  void pull(const Rows &in, const Bits<Words> &everyone) {
    size_t kept = 0;
    for (int32_t neuron : unseen) {
      const Bits<Words> missing = everyone.without(seen[neuron]);
      if (!missing.any()) continue;
      unseen[kept++] = neuron;
      Bits<Words> arrived;
      for (const int32_t *source = in.begin(neuron); source != in.end(neuron); ++source) {
        arrived.add(front[*source]);
        if (!missing.without(arrived).any()) break;
      }
      for (int at = 0; at < Words; ++at) arrived.word[at] &= missing.word[at];
      if (!arrived.any()) continue;
      next[neuron] = arrived;
      touched.push_back(neuron);
    }
    unseen.resize(kept);
  }

  void advance() {
    for (int32_t neuron : active) front[neuron] = {};
    for (int32_t neuron : touched) {
      seen[neuron].add(next[neuron]);
      counter.add(next[neuron]);
      front[neuron] = next[neuron];
      next[neuron] = {};
    }
    active.swap(touched);
    touched.clear();
  }
};

struct Totals {
  int64_t *distance, *reached;
  double *inverse;
};

// A backward step is faster if the active neurons have more than 1 / kBackwards of the synapses.
constexpr int64_t kBackwards = 8;

template <int Words>
void search(const Rows &out, const Rows &in, const int64_t *sources, int64_t size,
            Search<Words> &state, const Totals &totals) {
  const int64_t neurons = out.size();
  Bits<Words> everyone;
  std::fill(state.seen.begin(), state.seen.end(), Bits<Words>{});
  state.active.clear();
  state.unseen.resize(neurons);
  for (int64_t neuron = 0; neuron < neurons; ++neuron) state.unseen[neuron] = int32_t(neuron);
  for (int64_t each = 0; each < size; ++each) {
    const uint64_t bit = uint64_t(1) << (each % kWord);
    const int32_t neuron = int32_t(sources[each]);
    everyone.word[each / kWord] |= bit;
    if (!state.seen[neuron].any()) state.active.push_back(neuron);
    state.seen[neuron].word[each / kWord] |= bit;
    state.front[neuron].word[each / kWord] |= bit;
  }
  for (int64_t step = 1; !state.active.empty(); ++step) {
    int64_t ahead = 0;
    for (int32_t neuron : state.active) ahead += out.length(neuron);
    if (ahead * kBackwards > int64_t(out.index.size()))
      state.pull(in, everyone);
    else
      state.push(out);
    state.advance();
    const auto found = state.counter.take();
    for (int64_t each = 0; each < size; ++each) {
      totals.distance[each] += step * found[each];
      totals.reached[each] += found[each];
      totals.inverse[each] += double(found[each]) / double(step);
    }
  }
}

template <int Words>
void search_all(const Rows &out, const Rows &in, const Index &sources, const Totals &totals) {
  constexpr int64_t lanes = Words * kWord;
  const int64_t size = int64_t(sources.size()), batches = (size + lanes - 1) / lanes;
  const int workers = int(std::min<int64_t>(threads(), batches));
  std::vector<Search<Words>> states;
  for (int each = 0; each < workers; ++each) states.emplace_back(out.size());
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers)
  for (int64_t batch = 0; batch < batches; ++batch) {
    const int64_t first = batch * lanes;
    search(out, in, sources.data() + first, std::min(lanes, size - first), states[thread()],
           {totals.distance + first, totals.reached + first, totals.inverse + first});
  }
}

nb::tuple walks(const Index &pointer, const Columns &index, const Index &sources) {
  const size_t size = sources.size();
  Fresh<int64_t> distance(size), reached(size);
  Fresh<double> inverse(size);
  {
    nb::gil_scoped_release unlocked;
    const Rows out = checked(pointer, index);
    check_neurons(sources, out.size());
    const Totals totals{distance.get(), reached.get(), inverse.get()};
    std::fill_n(totals.distance, size, 0);
    std::fill_n(totals.reached, size, 0);
    std::fill_n(totals.inverse, size, 0.0);
    // Wide words reduce memory reads; narrow words give every thread a batch.
    if (size) {
      const Rows in = transposed(out);
      if (int64_t(size) >= 4 * kWord * threads())
        search_all<4>(out, in, sources, totals);
      else
        search_all<1>(out, in, sources, totals);
    }
  }
  return nb::make_tuple(distance.as({size}), reached.as({size}), inverse.as({size}));
}

}  // namespace

void register_walks(nb::module_ &m) {
  m.def("walks", &walks, nb::arg("pointer").noconvert(), nb::arg("index").noconvert(),
        nb::arg("sources").noconvert(),
        "For each source: the sum of distances to the neurons that it reaches, their number, and "
        "the sum of inverse distances.");
}

}  // namespace compiled
