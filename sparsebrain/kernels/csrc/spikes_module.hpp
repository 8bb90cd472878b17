// Simulations of spiking neurons as Python functions of addresses, which native_spikes.py checks.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "spikes.hpp"

namespace sparsebrain {

inline SpikeKernels spike_kernels_of(const std::string &set) {
#if defined(HAS_X86_SETS)
  if (set == "avx2") return spike_kernels_of_avx2();
  if (set == "avx512") return spike_kernels_of_avx512();
#endif
  if (set == "baseline") return spike_kernels_of_baseline();
  throw std::invalid_argument("there is no instruction set '" + set + "'");
}

// The spikes of all samples.
class SpikeLog {
 public:
  explicit SpikeLog(int64_t samples) : of_(size_t(samples), Spikes{nullptr, nullptr, 0}) {}
  SpikeLog(const SpikeLog &) = delete;
  SpikeLog &operator=(const SpikeLog &) = delete;
  ~SpikeLog() {
    for (Spikes &each : of_) {
      std::free(each.step);
      std::free(each.neuron);
    }
  }
  Spikes *data() { return of_.data(); }

  std::vector<int64_t> counts() const {
    std::vector<int64_t> found;
    for (const Spikes &each : of_) found.push_back(each.count);
    return found;
  }

  // Writes all of them into arrays of as many values as there are spikes.
  void write(uintptr_t step, uintptr_t neuron) const {
    int64_t *to_step = reinterpret_cast<int64_t *>(step);
    int64_t *to_neuron = reinterpret_cast<int64_t *>(neuron);
    for (const Spikes &each : of_)
      for (int64_t k = 0; k < each.count; ++k) {
        *to_step++ = each.step[k];
        *to_neuron++ = each.neuron[k];
      }
  }

 private:
  std::vector<Spikes> of_;
};

// What is kept between the calls of one simulation.
class SpikeRows {
 public:
  SpikeRows(int64_t neurons, int threads)
      : threads_(threads > 1 ? threads : 0),
        neurons_(neurons),
        segments_(size_t(threads_) * size_t(neurons), Segment{-1, -1}) {}
  Segment *fitting(int64_t neurons, int threads) {
    return threads == threads_ && neurons == neurons_ ? segments_.data() : nullptr;
  }

 private:
  int threads_;
  int64_t neurons_;
  std::vector<Segment> segments_;
};

// Address of the neurons' numbers and of the values, then current, first, every, times and count.
using Recorded = std::array<int64_t, 7>;

// A Call of module.cpp.
template <class Call>
std::unique_ptr<SpikeLog> spike(const std::string &set, const Call &call, SpikeRows &rows,
                                const std::array<uintptr_t, 20> &arrays,
                                const std::array<int64_t, 6> &sizes,
                                const std::vector<Recorded> &recorded) {
  const auto at = [](uintptr_t address) { return reinterpret_cast<void *>(address); };
  const auto longs = [](uintptr_t address) { return reinterpret_cast<const int64_t *>(address); };
  const auto ints = [](uintptr_t address) { return reinterpret_cast<const int32_t *>(address); };
  const auto [weight, delay, decay, drive, transfer, synapse_decay, threshold, reset, refractory,
              silent, u, g, wait, event_begin, event_step, event_neuron, event_jump, recent_begin,
              recent_step, recent_neuron] = arrays;
  const auto [samples, steps, shortest, longest, uniform, synapse] = sizes;
  std::vector<Probe> probes;
  for (const Recorded &r : recorded)
    probes.push_back({r[3], r[4], r[5], r[6], longs(uintptr_t(r[0])), r[2] != 0,
                      at(uintptr_t(r[1]))});
  const Neurons neurons{at(decay),
                        at(drive),
                        at(transfer),
                        at(synapse_decay),
                        at(threshold),
                        at(reset),
                        ints(refractory),
                        uniform != 0,
                        static_cast<Synapse>(synapse),
                        static_cast<const uint8_t *>(at(silent))};
  const Simulation task{samples,
                        steps,
                        at(weight),
                        ints(delay),
                        shortest,
                        longest,
                        neurons,
                        at(u),
                        at(g),
                        static_cast<int32_t *>(at(wait)),
                        {longs(event_begin), ints(event_step), ints(event_neuron), at(event_jump)},
                        {longs(recent_begin), ints(recent_step), ints(recent_neuron), nullptr},
                        probes.data(),
                        static_cast<int64_t>(probes.size())};
  auto log = std::make_unique<SpikeLog>(samples);
  const SpikeKernels kernels = spike_kernels_of(set);
  Segment *segments = rows.fitting(call.problem.neurons, call.problem.threads);
  Outcome outcome;
  {
    nanobind::gil_scoped_release unlocked;
    outcome = (call.twofold ? kernels.twofold : kernels.single)(call.problem, task, segments,
                                                                log->data());
  }
  Call::check(outcome);
  return log;
}

template <class Call>
void add_spikes(nanobind::module_ &m) {
  nanobind::class_<SpikeLog>(m, "SpikeLog")
      .def("counts", &SpikeLog::counts)
      .def("write", &SpikeLog::write);
  nanobind::class_<SpikeRows>(m, "SpikeRows").def(nanobind::init<int64_t, int>());
  m.def("spike", &spike<Call>);
}

}  // namespace sparsebrain
