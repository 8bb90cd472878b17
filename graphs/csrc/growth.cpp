// Graphs that grow neuron by neuron by preferential attachment.
#include <stdexcept>
#include <vector>

#include "arrays.hpp"

namespace compiled {
namespace {

using Draws = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Thrown if the draws run out. The current neuron then starts over with the next draws.
struct Exhausted {};

class Growth {
 public:
  Growth(int64_t neurons, int64_t each, double triangle)
      : neurons_(neurons), each_(each), newcomer_(each), triangle_(triangle) {
    if (each < 1 || neurons <= each || neurons > UINT32_MAX)
      throw std::invalid_argument("each must be in [1, neurons), neurons below 2^32");
    targets_.resize(each * (neurons - each));
    marked_by_.resize(neurons, 0);
    if (triangle > 0) chosen_by_.resize(neurons);
  }

  // Adds neurons until the graph is complete or the draws run out; returns the number of draws
  // used.
  int64_t advance(const Draws &draws) {
    nb::gil_scoped_release unlocked;
    for (size_t at = 0; at < draws.size(); ++at)
      if (!(draws.data()[at] >= 0 && draws.data()[at] < 1))
        throw std::out_of_range("a draw must be in [0, 1)");
    next_ = draws.data();
    end_ = next_ + draws.size();
    const double *used = next_;
    try {
      for (; newcomer_ < neurons_; ++newcomer_, used = next_) {
        connect();
        if (triangle_ > 0)
          for (int64_t slot = 0; slot < each_; ++slot)
            chosen_by_[own()[slot]].push_back(uint32_t(newcomer_));
      }
    } catch (const Exhausted &) {
    }
    return used - draws.data();
  }

  bool complete() const { return newcomer_ == neurons_; }

  NewIndex targets() const {
    Fresh<int64_t> copy(targets_.size());
    std::copy(targets_.begin(), targets_.end(), copy.get());
    return copy.as({targets_.size()});
  }

 private:
  int64_t *own() { return targets_.data() + (newcomer_ - each_) * each_; }

  int64_t below(int64_t bound) {
    if (next_ == end_) throw Exhausted();
    return int64_t(*next_++ * double(bound));
  }

  void connect() {
    ++attempt_;
    int64_t friend_ = -1;
    for (int64_t slot = 0; slot < each_; ++slot) {
      int64_t found = -1;
      if (newcomer_ == each_) {
        found = slot;
      } else {
        if (slot && triangle_ > 0) {
          if (next_ == end_) throw Exhausted();
          if (*next_++ < triangle_) found = neighbor(friend_, slot - 1);
        }
        if (found < 0) friend_ = found = preferred();
      }
      marked_by_[found] = attempt_;
      own()[slot] = found;
    }
  }

  // Draws an end of a random synapse, which is a neuron with a probability proportional to its
  // degree.
  int64_t preferred() {
    while (true) {
      const int64_t end = below(2 * (newcomer_ - each_) * each_);
      const int64_t found = end % 2 ? targets_[end / 2] : each_ + end / 2 / each_;
      if (marked_by_[found] != attempt_) return found;
    }
  }

  // Draws an unmarked neighbor uniformly, or returns -1; at most `most` neighbors are marked.
  int64_t neighbor(int64_t of, int64_t most) {
    const std::vector<uint32_t> &later = chosen_by_[of];
    const int64_t earlier = of < each_ ? 0 : each_;
    const int64_t degree = earlier + int64_t(later.size());
    const auto number = [&](int64_t at) {
      return at < earlier ? targets_[(of - each_) * each_ + at] : int64_t(later[at - earlier]);
    };
    while (degree >= 2 * most) {
      const int64_t found = number(below(degree));
      if (marked_by_[found] != attempt_) return found;
    }
    free_.clear();
    for (int64_t at = 0; at < degree; ++at)
      if (marked_by_[number(at)] != attempt_) free_.push_back(number(at));
    return free_.empty() ? -1 : free_[below(int64_t(free_.size()))];
  }

  int64_t neurons_, each_, newcomer_, attempt_ = 0;
  double triangle_;
  const double *next_ = nullptr, *end_ = nullptr;
  std::vector<int64_t> targets_, marked_by_, free_;
  std::vector<std::vector<uint32_t>> chosen_by_;
};

}  // namespace

void register_growth(nb::module_ &m) {
  nb::class_<Growth>(m, "Growth", "A graph that grows by preferential attachment.")
      .def(nb::init<int64_t, int64_t, double>(), nb::arg("neurons"), nb::arg("each"),
           nb::arg("triangle"))
      .def("advance", &Growth::advance, nb::arg("draws").noconvert(),
           "Add neurons until complete or out of draws in [0, 1); return the number of draws used.")
      .def_prop_ro("complete", &Growth::complete, "Whether all neurons have been added.")
      .def("targets", &Growth::targets, "The targets of the new neurons, neuron by neuron.");
}

}  // namespace compiled
