// Simulations with plasticity as Python functions of addresses, which native_plastic_spikes.py checks.
#pragma once

#include "plastic_spikes.hpp"
#include "spikes_module.hpp"

namespace sparsebrain {

inline PlasticKernels plastic_kernels_of(const std::string &set) {
#if defined(HAS_X86_SETS)
  if (set == "avx2") return plastic_kernels_of_avx2();
  if (set == "avx512") return plastic_kernels_of_avx512();
#endif
  if (set == "baseline") return plastic_kernels_of_baseline();
  throw std::invalid_argument("there is no instruction set '" + set + "'");
}

// A Call of module.cpp.
template <class Call>
void find_places(const std::string &set, const Call &call, uintptr_t place, uintptr_t run) {
  const Places found{reinterpret_cast<void *>(place), reinterpret_cast<uint8_t *>(run)};
  Outcome outcome;
  {
    nanobind::gil_scoped_release unlocked;
    outcome = plastic_kernels_of(set).find_places(call.problem, found);
  }
  Call::check(outcome);
}

template <class Call>
std::unique_ptr<SpikeLog> plastic_spike(
    const std::string &set, const Call &call, const std::array<uintptr_t, 8> &neurons,
    const std::array<uintptr_t, 19> &arrays, const std::array<int64_t, 6> &sizes,
    const std::array<double, 5> &amounts, const std::array<int64_t, 4> &options, double total,
    int64_t every, const std::vector<Recorded> &recorded) {
  const auto at = [](uintptr_t address) { return reinterpret_cast<void *>(address); };
  const auto longs = [](uintptr_t address) { return reinterpret_cast<const int64_t *>(address); };
  const auto ints = [](uintptr_t address) { return reinterpret_cast<const int32_t *>(address); };
  const auto bytes = [](uintptr_t address) { return reinterpret_cast<const uint8_t *>(address); };
  const auto [decay, drive, transfer, synapse_decay, threshold, reset, refractory, silent] = neurons;
  const auto [u, g, wait, event_begin, event_step, event_neuron, event_jump, weight, delay, pre,
              post, pending, place, run, increment, keep, theta, plastic, chosen] = arrays;
  const auto [steps, shortest, longest, uniform, synapse, first] = sizes;
  const auto [a_plus, a_minus, keep_plus, keep_minus, w_max] = amounts;
  const auto [learns, nearest, coincidence, bounds] = options;
  std::vector<Probe> probes;
  for (const Recorded &r : recorded)
    probes.push_back({r[3], r[4], r[5], r[6], longs(uintptr_t(r[0])), r[2] != 0,
                      at(uintptr_t(r[1]))});
  PlasticSimulation task{};
  task.of.samples = 1;
  task.of.steps = steps;
  task.of.weight = at(weight);
  task.of.delay = ints(delay);
  task.of.shortest = shortest;
  task.of.longest = longest;
  task.of.neurons = {at(decay), at(drive), at(transfer), at(synapse_decay), at(threshold),
                     at(reset), ints(refractory), uniform != 0, static_cast<Synapse>(synapse),
                     bytes(silent)};
  task.of.u = at(u);
  task.of.g = at(g);
  task.of.wait = static_cast<int32_t *>(at(wait));
  task.of.events = {longs(event_begin), ints(event_step), ints(event_neuron), at(event_jump)};
  task.of.probes = probes.data();
  task.of.num_probes = int64_t(probes.size());
  task.weight = at(weight);
  task.pre = at(pre);
  task.post = at(post);
  task.pending = at(pending);
  task.first = first;
  task.place = at(place);
  task.run = bytes(run);
  task.pairs = {learns != 0, a_plus, a_minus, keep_plus, keep_minus, w_max, nearest != 0,
                coincidence != 0, static_cast<Bounds>(bounds), bytes(plastic)};
  task.thresholds = {at(increment), at(keep), at(theta)};
  task.scaling = {total, every, bytes(chosen)};
  auto log = std::make_unique<SpikeLog>(1);
  const PlasticKernels kernels = plastic_kernels_of(set);
  Outcome outcome;
  {
    nanobind::gil_scoped_release unlocked;
    outcome = (call.twofold ? kernels.twofold : kernels.single)(call.problem, task, log->data());
  }
  Call::check(outcome);
  return log;
}

template <class Call>
void add_plastic_spikes(nanobind::module_ &m) {
  m.def("find_places", &find_places<Call>);
  m.def("plastic_spike", &plastic_spike<Call>);
}

}  // namespace sparsebrain
