// The views of the synapses that a layer's kernels read, and a search for parallel synapses.
#include "ends.hpp"
#include "partition.hpp"

#include <type_traits>

namespace compiled {
namespace {

// One view: rows, the other end of each synapse, and its position before sorting.
template <class Number>
struct View {
  View(int64_t size, int64_t neurons) : pointer(neurons + 1), neuron(size), order(size) {}
  Fresh<Number> pointer, neuron, order;

  // Converts the view to NumPy arrays; the order is None if nothing was moved.
  nb::tuple as_arrays(const Ends &all, bool ordered) {
    const size_t size = size_t(all.size);
    nb::object moved = nb::none();
    if (!ordered) moved = nb::cast(order.as({size}));
    return nb::make_tuple(pointer.as({size_t(all.neurons) + 1}), neuron.as({size}), moved);
  }
};

template <class Number>
bool is_identity(const Number *order, int64_t size) {
  for (int64_t at = 0; at < size; ++at)
    if (order[at] != at) return false;
  return true;
}

// Writes the view of synapses that are sorted by `row` already.
template <class Number>
void copy_sorted(const int64_t *row, const int64_t *column, const Ends &all, View<Number> &view) {
  Number *pointer = view.pointer.get(), *neuron = view.neuron.get();
#pragma omp parallel for
  for (int64_t at = 0; at < all.size; ++at) neuron[at] = Number(column[at]);
  int64_t filled = 0;
  for (int64_t at = 0; at < all.size; ++at)
    while (filled <= row[at]) pointer[filled++] = Number(at);
  while (filled <= all.neurons) pointer[filled++] = Number(all.size);
}

template <class Number, class Read>
void sort_into(const Read &synapse, const Ends &all, Synapse<Number> *spare, View<Number> &view) {
  Partition partition(all.size, all.neurons);
  partition.distribute<Number>(synapse, spare);
  Number *pointer = view.pointer.get(), *neuron = view.neuron.get(), *order = view.order.get();
  partition.sort(
      spare,
      [=](int64_t place, const Synapse<Number> &each) {
        neuron[place] = each.other;
        order[place] = each.at;
      },
      [=](int64_t row, int64_t place) { pointer[row] = Number(place); });
  pointer[all.neurons] = Number(all.size);
}

template <class Number>
nb::tuple view_of(const Ends &all) {
  View<Number> by_target(all.size, all.neurons);
  bool ordered = false;
  {
    nb::gil_scoped_release unlocked;
    const Seen seen = checked(all);
    const auto number = [](int64_t each) { return Number(each); };
    const auto by_source = [&](int64_t at) {
      return Synapse<Number>{number(all.source[at]), number(all.target[at]), number(at)};
    };
    if (seen.rising) {
      copy_sorted(all.target, all.source, all, by_target);
      ordered = true;
    } else {
      Synapses<Number> spare(all.size);
      if (look_through({all.target, all.source, all.size, all.neurons}).rising) {
        sort_into<Number>(
            [&](int64_t at) {
              return Synapse<Number>{number(all.target[at]), number(all.source[at]), number(at)};
            },
            all, spare.get(), by_target);
      } else {
        // By source, then by target; both sorts are stable.
        Synapses<Number> sorted(all.size);
        Synapse<Number> *into = sorted.get();
        Partition partition(all.size, all.neurons);
        partition.distribute<Number>(by_source, spare.get());
        partition.sort(
            spare.get(),
            [=](int64_t place, const Synapse<Number> &each) {
              into[place] = {each.other, each.key, each.at};
            },
            [](int64_t, int64_t) {});
        sort_into<Number>([=](int64_t at) { return into[at]; }, all, spare.get(), by_target);
      }
      ordered = is_identity(by_target.order.get(), all.size);
    }
  }
  return by_target.as_arrays(all, ordered);
}

nb::tuple view(const Index &source, const Index &target, int64_t neurons, bool wide) {
  const Ends all = ends(source, target, neurons);
  if (wide) return view_of<int64_t>(all);
  if (std::max(all.neurons, all.size) > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("more neurons or synapses than 32-bit numbers count");
  return view_of<int32_t>(all);
}

template <class Number>
using Numbers = nb::ndarray<const Number, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Whether the rows follow each other, hold all synapses and lead to neurons.
template <class Number>
bool is_sound(const Number *pointer, const Number *neuron, const Ends &all) {
  if (pointer[0] != 0 || pointer[all.neurons] != all.size) return false;
  for (int64_t row = 0; row < all.neurons; ++row)
    if (pointer[row + 1] < pointer[row]) return false;
  // A negative number is a large one without its sign.
  using Unsigned = std::make_unsigned_t<Number>;
  Unsigned most = 0;
  for (int64_t at = 0; at < all.size; ++at) most = std::max(most, Unsigned(neuron[at]));
  return all.size == 0 || most < Unsigned(all.neurons);
}

// The columns of a view as rows. Both views keep the positions of the synapses before sorting.
template <class Number>
nb::tuple transposed(const Numbers<Number> &pointer, const Numbers<Number> &neuron,
                     const Numbers<Number> &order) {
  const bool moved = order.is_valid();
  if (!pointer.size() || (moved && order.size() != neuron.size()))
    throw std::invalid_argument("pointer must not be empty, neuron and order must be of one length");
  const Ends all{nullptr, nullptr, int64_t(neuron.size()), int64_t(pointer.size()) - 1};
  const Number *first = pointer.data(), *other = neuron.data();
  const Number *place = moved ? order.data() : nullptr;
  View<Number> columns(all.size, all.neurons);
  bool ordered = false;
  {
    nb::gil_scoped_release unlocked;
    if (!is_sound(first, other, all)) throw std::out_of_range("a view leads out of its synapses");
    // The row of each synapse.
    Many<Number> row(all.size);
#pragma omp parallel for schedule(dynamic, 1024)
    for (int64_t each = 0; each < all.neurons; ++each)
      std::fill(row.data() + first[each], row.data() + first[each + 1], Number(each));
    Synapses<Number> spare(all.size);
    sort_into<Number>(
        [&](int64_t at) {
          return Synapse<Number>{other[at], row[at], place ? place[at] : Number(at)};
        },
        all, spare.get(), columns);
    ordered = is_identity(columns.order.get(), all.size);
  }
  return columns.as_arrays(all, ordered);
}

// Whether two synapses have the same source and target.
template <class Number>
bool any_parallel(const Ends &all) {
  Synapses<Number> spare(all.size);
  Partition partition(all.size, all.neurons);
  partition.distribute<Number>(
      [&](int64_t at) {
        return Synapse<Number>{Number(all.target[at]), Number(all.source[at]), 0};
      },
      spare.get());
  Many<Number> source(all.size), row(all.size);
  partition.sort(
      spare.get(),
      [&](int64_t place, const Synapse<Number> &each) {
        source[place] = each.other;
        row[place] = each.key;
      },
      [](int64_t, int64_t) {});
  // The last target of each source.
  std::vector<Number> last(all.neurons, -1);
  for (int64_t at = 0; at < all.size; ++at) {
    if (last[source[at]] == row[at]) return true;
    last[source[at]] = row[at];
  }
  return false;
}

bool has_parallel(const Index &source, const Index &target, int64_t neurons) {
  const Ends all = ends(source, target, neurons);
  nb::gil_scoped_release unlocked;
  checked(all);
  const bool wide = std::max(all.neurons, all.size) > std::numeric_limits<int32_t>::max();
  return wide ? any_parallel<int64_t>(all) : any_parallel<int32_t>(all);
}

template <class Number>
void register_transposed(nb::module_ &m) {
  m.def("transposed", &transposed<Number>, nb::arg("pointer").noconvert(),
        nb::arg("neuron").noconvert(), nb::arg("order").noconvert().none(),
        "The view by (source, target) that belongs to the view by (target, source), or the reverse.");
}

}  // namespace

void register_compressing(nb::module_ &m) {
  m.def("view", &view, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), nb::arg("wide"),
        "Pointers, other ends and order of the synapses by (target, source), in 32 or, if wide, 64 "
        "bits; the order is None if nothing was moved.");
  register_transposed<int32_t>(m);
  register_transposed<int64_t>(m);
  m.def("has_parallel", &has_parallel, nb::arg("source").noconvert(),
        nb::arg("target").noconvert(), nb::arg("neurons"),
        "Whether two synapses have the same source and target.");
}

}  // namespace compiled
