// What Python asks of a simulation of spiking neurons, and what it gets.
#pragma once

#include <cstdint>

#include "kernels.hpp"

namespace sparsebrain {

// What spikes add to, and what a refractory neuron keeps.
enum class Synapse : int { voltage, current_held, current_free };

// Coefficients of a step, one per neuron, or one for all where `uniform`.
struct Neurons {
  const void *decay, *drive, *transfer, *synapse_decay, *threshold, *reset;
  const int32_t *refractory;
  bool uniform;
  Synapse synapse;
  const uint8_t *silent;  // [neurons], or null
};

// Sorted by sample, step and neuron; those of sample s are from begin[s] to begin[s + 1].
struct Train {
  const int64_t *begin;
  const int32_t *step, *neuron;
  const void *jump;  // or null, where all are spikes
};

// States of `count` neurons at the start of steps first, first + every, ...: [samples, times, count].
struct Probe {
  int64_t first, every, times, count;
  const int64_t *neuron;
  bool current;
  void *out;
};

struct Simulation {
  int64_t samples, steps;
  const void *weight;     // [synapses], in the order of by_source
  const int32_t *delay;   // the same, or null where it is `shortest` for all
  int64_t shortest, longest;
  Neurons neurons;
  void *u, *g;            // [samples, neurons]; no g where spikes add to the voltage
  int32_t *wait;
  Train events, recent;
  const Probe *probes;
  int64_t num_probes;

  // Whether what arrives at a refractory neuron is lost.
  bool holds_all() const { return neurons.synapse != Synapse::current_free; }
};

// Spikes of one sample, allocated by malloc.
struct Spikes {
  int32_t *step, *neuron;
  int64_t count;
};

// The part of each source's row that leads to the neurons of one thread, as places in the row; -1
// until it is needed. It only saves a search, and nothing trusts it.
struct Segment {
  int32_t begin, end;
};

struct SpikeKernels {
  Outcome (*single)(const Problem &, const Simulation &, Segment *, Spikes *);
  Outcome (*twofold)(const Problem &, const Simulation &, Segment *, Spikes *);
};

SpikeKernels spike_kernels_of_baseline();
SpikeKernels spike_kernels_of_avx2();
SpikeKernels spike_kernels_of_avx512();

}  // namespace sparsebrain
