// A ring of neurons with shortcuts, whose targets the caller draws.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "arrays.hpp"

namespace compiled {
namespace {

constexpr int64_t kNowhere = -1;

// Slots are the synapses of the ring, sorted by source, followed by the added synapses.
class Shortcuts {
 public:
  Shortcuts(int64_t neurons, int64_t neighbors, bool directed, const Index &chosen, bool added)
      : neurons_(neurons), each_(directed ? neighbors : neighbors / 2), directed_(directed) {
    if (neurons < 0 || neighbors < 0 || neighbors % 2 || neighbors >= std::max<int64_t>(neurons, 1))
      throw std::invalid_argument("neighbors must be even, and fewer than neurons");
    const int64_t *slot = chosen.data(), size = int64_t(chosen.size()), ring = neurons * each_;
    for (int64_t at = 0; at < size; ++at)
      if (slot[at] < 0 || slot[at] >= ring || (at && slot[at] <= slot[at - 1]))
        throw std::out_of_range("chosen synapses must rise, and be some of the ring");
    nb::gil_scoped_release unlocked;
    target_.resize(ring + (added ? size : 0), kNowhere);
    int64_t *next = target_.data();
    for (int64_t source = 0; source < neurons; ++source)
      for (int64_t step = directed ? -neighbors / 2 : 1; step <= neighbors / 2; ++step)
        if (step) *next++ = wrapped(source + step);
    run_.assign(neurons, kNowhere);
    waiting_.assign(slot, slot + size);
    if (!added) return;
    sender_.resize(size);
    starts_.assign(neurons + 1, 0);
    for (int64_t at = 0; at < size; ++at) {
      sender_[at] = slot[at] / each_;
      ++starts_[sender_[at] + 1];
      waiting_[at] = ring + at;
    }
    for (int64_t row = 0; row < neurons; ++row) starts_[row + 1] += starts_[row];
  }

  size_t waiting() const { return waiting_.size(); }

  // Proposes a target for each waiting slot, `ahead` neurons after its source. It is accepted if
  // the pair was free before this round and no earlier slot of this round has proposed it.
  void place(const Index &ahead) {
    const size_t size = waiting_.size();
    if (ahead.size() != size) throw std::invalid_argument("one draw for each that waits");
    if (std::any_of(ahead.data(), ahead.data() + size,
                    [this](int64_t each) { return each < 1 || each >= neurons_; }))
      throw std::out_of_range("draws must be in [1, neurons)");
    nb::gil_scoped_release unlocked;
    std::vector<int64_t> wanted(size);
    std::vector<char> free(size);
    for (size_t at = 0; at < size; ++at) {
      const int64_t source = sender(waiting_[at]);
      if (run_[source] == kNowhere) run_[source] = int64_t(at);
      const int64_t target = wanted[at] = wrapped(source + ahead.data()[at]);
      free[at] = !holds(source, target) && !asked(source, target, wanted, at);
      if (!directed_)
        free[at] = free[at] && !holds(target, source) && !asked(target, source, wanted, at);
    }
    size_t left = 0;
    for (size_t at = 0; at < size; ++at) {
      run_[sender(waiting_[at])] = kNowhere;
      if (free[at]) target_[waiting_[at]] = wanted[at];
    }
    for (size_t at = 0; at < size; ++at)
      if (!free[at]) waiting_[left++] = waiting_[at];
    waiting_.resize(left);
  }

  // Returns sources and targets of all slots, with target -1 if there is none yet, and the waiting
  // slots.
  nb::tuple ends() const {
    const int64_t size = int64_t(target_.size());
    Fresh<int64_t> both(2 * size);
    {
      nb::gil_scoped_release unlocked;
      int64_t *next = both.get();
      for (int64_t source = 0; source < neurons_; ++source) next = std::fill_n(next, each_, source);
      std::copy(sender_.begin(), sender_.end(), next);
      std::copy(target_.begin(), target_.end(), both.get() + size);
    }
    return nb::make_tuple(both.as({2, size_t(size)}), handed_out(Many<int64_t>(waiting_)));
  }

 private:
  int64_t wrapped(int64_t neuron) const {
    return neuron < 0 ? neuron + neurons_ : neuron >= neurons_ ? neuron - neurons_ : neuron;
  }

  int64_t sender(int64_t slot) const {
    const int64_t ring = neurons_ * each_;
    return slot < ring ? slot / each_ : sender_[slot - ring];
  }

  bool holds(int64_t source, int64_t target) const {
    const auto row = target_.begin() + source * each_;
    if (std::find(row, row + each_, target) != row + each_) return true;
    if (starts_.empty()) return false;
    const auto added = target_.begin() + neurons_ * each_;
    const auto last = added + starts_[source + 1];
    return std::find(added + starts_[source], last, target) != last;
  }

  // Whether an earlier slot of this round with the same source has proposed the target.
  bool asked(int64_t source, int64_t target, const std::vector<int64_t> &wanted, size_t at) const {
    if (run_[source] == kNowhere) return false;
    size_t before = size_t(run_[source]);
    for (; before < at && sender(waiting_[before]) == source; ++before)
      if (wanted[before] == target) return true;
    return false;
  }

  int64_t neurons_, each_;
  bool directed_;
  Many<int64_t> target_, waiting_;
  std::vector<int64_t> sender_, starts_;  // sources of added slots, and each neuron's first
  std::vector<int64_t> run_;              // each neuron's first waiting slot in this round
};

}  // namespace

void register_shortcuts(nb::module_ &m) {
  nb::class_<Shortcuts>(m, "Shortcuts", "A ring, and the shortcuts that still need a target.")
      .def(nb::init<int64_t, int64_t, bool, const Index &, bool>(), nb::arg("neurons"),
           nb::arg("neighbors"), nb::arg("directed"), nb::arg("chosen").noconvert(),
           nb::arg("added"))
      .def_prop_ro("waiting", &Shortcuts::waiting)
      .def("place", &Shortcuts::place, nb::arg("ahead").noconvert(),
           "Propose a target for each waiting slot, that many neurons ahead of its source.")
      .def("ends", &Shortcuts::ends, "Sources and targets [2, E], -1 for none, and the waiting slots.");
}

}  // namespace compiled
