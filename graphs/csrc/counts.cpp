// Sums over synapses: of each neuron, of each group, and their lengths.
#include <cmath>

#include "ends.hpp"

namespace compiled {
namespace {

using Points = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// Synapses of each neuron that have it at this end and another one at the other.
NewIndex degrees(const Index &end, const Index &other, int64_t neurons) {
  const Ends all = ends(other, end, neurons);
  Fresh<int64_t> degree(neurons);
  {
    nb::gil_scoped_release unlocked;
    // Synapses of one neuron follow each other: counted in turns, none waits for the one before.
    std::vector<int64_t> turns[2] = {std::vector<int64_t>(neurons), std::vector<int64_t>(neurons)};
    for (int64_t at = 0; at < all.size; ++at) {
      if (!is_neuron(all.target[at], neurons))
        throw std::out_of_range("an end of a synapse is no neuron");
      turns[at & 1][all.target[at]] += all.apart(at);
    }
    for (int64_t each = 0; each < neurons; ++each)
      degree.get()[each] = turns[0][each] + turns[1][each];
  }
  return degree.as({size_t(neurons)});
}

// Synapses within a group, and those that each group sends and receives; self-loops left out.
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
        throw std::out_of_range("an end of a synapse is no neuron");
      const int64_t from = number[all.source[at]], to = number[all.target[at]];
      const bool apart = all.apart(at);
      sent.get()[from] += apart;
      received.get()[to] += apart;
      inside += apart & (from == to);
    }
  }
  return nb::make_tuple(inside, sent.as({size_t(neurons)}), received.as({size_t(neurons)}));
}

// Of all synapses between two neurons, in the order of NumPy's sum over few axes.
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
        nb::arg("neurons"), "Of each neuron the synapses with it at this end, without self-loops.");
  m.def("group_ends", &group_ends, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("group").noconvert(),
        "Synapses inside a group, and those that each group sends and receives.");
  m.def("lengths", &lengths, nb::arg("source").noconvert(), nb::arg("target").noconvert(),
        nb::arg("points").noconvert(), "Of each synapse between two neurons.");
}

}  // namespace compiled
