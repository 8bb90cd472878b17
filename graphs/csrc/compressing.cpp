// Both views of the synapses that a layer's kernels read, and a search for parallel synapses.
#include "ends.hpp"
#include "partition.hpp"

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

// Sorts the synapses of one view, whose positions it keeps, for the transposed view.
template <class Number>
void transpose(View<Number> &from, bool ordered, const Ends &all, Synapse<Number> *spare, View<Number> &into) {
  // The row of each synapse.
  Many<Number> row(all.size);
  const Number *pointer = from.pointer.get(), *neuron = from.neuron.get(), *order = from.order.get();
#pragma omp parallel for schedule(dynamic, 1024)
  for (int64_t each = 0; each < all.neurons; ++each)
    std::fill(row.data() + pointer[each], row.data() + pointer[each + 1], Number(each));
  sort_into<Number>(
      [&](int64_t at) {
        return Synapse<Number>{neuron[at], row[at], ordered ? Number(at) : order[at]};
      },
      all, spare, into);
}

template <class Number>
nb::tuple views_of(const Ends &all) {
  View<Number> by_target(all.size, all.neurons), by_source(all.size, all.neurons);
  bool by_target_ordered = false, by_source_ordered = false;
  {
    nb::gil_scoped_release unlocked;
    const Seen seen = checked(all);
    Synapses<Number> spare(all.size);
    const auto number = [](int64_t each) { return Number(each); };
    const Ends turned{all.target, all.source, all.size, all.neurons};
    if (seen.rising) {
      copy_sorted(all.target, all.source, all, by_target);
      sort_into<Number>(
          [&](int64_t at) {
            return Synapse<Number>{number(all.source[at]), number(all.target[at]), number(at)};
          },
          all, spare.get(), by_source);
      by_target_ordered = true;
      by_source_ordered = is_identity(by_source.order.get(), all.size);
    } else if (look_through(turned).rising) {
      copy_sorted(all.source, all.target, all, by_source);
      sort_into<Number>(
          [&](int64_t at) {
            return Synapse<Number>{number(all.target[at]), number(all.source[at]), number(at)};
          },
          all, spare.get(), by_target);
      by_source_ordered = true;
      by_target_ordered = is_identity(by_target.order.get(), all.size);
    } else {
      // By source, then by target; both sorts are stable.
      {
        Synapses<Number> sorted(all.size);
        Synapse<Number> *into = sorted.get();
        Partition partition(all.size, all.neurons);
        partition.distribute<Number>(
            [&](int64_t at) {
              return Synapse<Number>{number(all.source[at]), number(all.target[at]), number(at)};
            },
            spare.get());
        partition.sort(
            spare.get(),
            [=](int64_t place, const Synapse<Number> &each) {
              into[place] = {each.other, each.key, each.at};
            },
            [](int64_t, int64_t) {});
        sort_into<Number>([=](int64_t at) { return into[at]; }, all, spare.get(), by_target);
      }
      by_target_ordered = is_identity(by_target.order.get(), all.size);
      transpose(by_target, by_target_ordered, all, spare.get(), by_source);
      by_source_ordered = is_identity(by_source.order.get(), all.size);
    }
  }
  return nb::make_tuple(by_target.as_arrays(all, by_target_ordered),
                        by_source.as_arrays(all, by_source_ordered));
}

nb::tuple views(const Index &source, const Index &target, int64_t neurons, bool wide) {
  const Ends all = ends(source, target, neurons);
  if (wide) return views_of<int64_t>(all);
  if (std::max(all.neurons, all.size) > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("more neurons or synapses than 32-bit numbers count");
  return views_of<int32_t>(all);
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

}  // namespace

void register_compressing(nb::module_ &m) {
  m.def("views", &views, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("neurons"), nb::arg("wide"),
        "Pointers, other ends and order of the synapses by (target, source), and the same by "
        "(source, target), in 32 or, if wide, 64 bits; the order is None if nothing was moved.");
  m.def("has_parallel", &has_parallel, nb::arg("source").noconvert(),
        nb::arg("target").noconvert(), nb::arg("neurons"),
        "Whether two synapses have the same source and target.");
}

}  // namespace compiled
