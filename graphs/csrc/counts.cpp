// Degrees of neurons, numbers of synapses of groups, and lengths of synapses.
#include <cmath>

#include "ends.hpp"

namespace compiled {
namespace {

using Points = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// Counts, for each neuron, the synapses with the neuron at `end` and another neuron at `other`.
NewIndex degrees(const Index &end, const Index &other, int64_t neurons) {
  const Ends all = ends(other, end, neurons);
  Fresh<int64_t> degree(neurons);
  {
    nb::gil_scoped_release unlocked;
    // Consecutive synapses often have the same target. Two alternating counters avoid that each
    // increment depends on the previous one.
    std::vector<int64_t> turns[2] = {std::vector<int64_t>(neurons), std::vector<int64_t>(neurons)};
    for (int64_t at = 0; at < all.size; ++at) {
      if (!is_neuron(all.target[at], neurons))
        throw std::out_of_range("an end of a synapse is not a neuron");
      turns[at & 1][all.target[at]] += all.apart(at);
    }
    for (int64_t each = 0; each < neurons; ++each)
      degree.get()[each] = turns[0][each] + turns[1][each];
  }
  return degree.as({size_t(neurons)});
}

// Counts the synapses within groups, and those that each group sends and receives, without
// self-loops.
nb::tuple group_ends(const Index &source, const Index &target, const Index &group) {
  const int64_t neurons = int64_t(group.size());
  const Ends all = ends(source, target, neurons);
  Fresh<int64_t> sent(neurons), received(neurons);
  int64_t inside = 0;
  {
    nb::gil_scoped_release unlocked;
    std::fill_n(sent.get(), neurons, 0);
    std::fill_n(received.get(), neurons, 0);
    const int64_t *number = group.data();
    if (std::any_of(number, number + neurons, [=](int64_t each) { return !is_neuron(each, neurons); }))
      throw std::out_of_range("a group must be below N");
    for (int64_t at = 0; at < all.size; ++at) {
      if (!is_neuron(all.source[at], neurons) || !is_neuron(all.target[at], neurons))
        throw std::out_of_range("an end of a synapse is not a neuron");
      const int64_t from = number[all.source[at]], to = number[all.target[at]];
      const bool apart = all.apart(at);
      sent.get()[from] += apart;
      received.get()[to] += apart;
      inside += apart & (from == to);
    }
  }
  return nb::make_tuple(inside, sent.as({size_t(neurons)}), received.as({size_t(neurons)}));
}

// Lengths of all synapses except self-loops. The squares are summed in the order of NumPy.
nb::ndarray<nb::numpy, double> lengths(const Index &source, const Index &target,
                                       const Points &points) {
  const int64_t axes = int64_t(points.shape(1));
  const Ends all = ends(source, target, int64_t(points.shape(0)));
  if (axes < 1 || axes > 3) throw std::invalid_argument("points must have 1, 2 or 3 coordinates");
  Many<double> found;
  {
    nb::gil_scoped_release unlocked;
    found.resize(all.size - checked(all).self_loops);
    double *length = found.data();
    for (int64_t at = 0; at < all.size; ++at) {
      if (!all.apart(at)) continue;
      const float *from = points.data() + all.source[at] * axes;
      const float *to = points.data() + all.target[at] * axes;
      double square = 0;
      for (int64_t axis = 0; axis < axes; ++axis) {
        const double gap = double(to[axis]) - double(from[axis]);
        square += gap * gap;
      }
      *length++ = std::sqrt(square);
    }
  }
  return handed_out(std::move(found));
}

}  // namespace

void register_counts(nb::module_ &m) {
  m.def("degrees", &degrees, nb::arg("end").noconvert(), nb::arg("other").noconvert(),
        nb::arg("neurons"), "Number of synapses with each neuron at `end`, without self-loops.");
  m.def("group_ends", &group_ends, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("group").noconvert(),
        "Numbers of synapses within groups, and those that each group sends and receives.");
  m.def("lengths", &lengths, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("points").noconvert(), "Lengths of the synapses, without self-loops.");
}

}  // namespace compiled
