// What Python asks of a simulation whose synapses and thresholds change.
#pragma once

#include "spikes.hpp"

namespace sparsebrain {

enum class Bounds : int { none, hard, soft };

// What pairs of spikes do to a synapse.
struct PairRule {
  bool learns;
  double a_plus, a_minus, keep_plus, keep_minus, w_max;
  bool nearest, coincidence;
  Bounds bounds;
  const uint8_t *plastic;  // [synapses], or null where all are
};

// Thresholds that rise with each spike; without any, theta is null.
struct ThresholdRule {
  const void *increment, *keep;  // [neurons]
  void *theta;
};

// Incoming weights that are scaled to a sum every few steps, or never where `every` is 0.
struct ScalingRule {
  double total;
  int64_t every;
  const uint8_t *chosen;  // [synapses], or null where all are
};

// Synapses, and everything of a synapse, are in the order of by_source. All states are changed.
struct PlasticSimulation {
  Simulation of;       // of one sample; its weight is the same as `weight`
  void *weight;        // [synapses]
  void *pre, *post;    // [neurons]
  void *pending;       // [longest + 1, neurons]; row n % (longest + 1) arrives in step n
  int64_t first;       // the number of steps before
  const void *place;   // [synapses], where in by_source the synapse at each place of by_target is
  const uint8_t *run;  // [neurons], whether the targets of a source follow each other
  PairRule pairs;
  ThresholdRule thresholds;
  ScalingRule scaling;
};

// The arrays `place` and `run` of a structure.
struct Places {
  void *place;
  uint8_t *run;
};

struct PlasticKernels {
  Outcome (*single)(const Problem &, const PlasticSimulation &, Spikes *);
  Outcome (*twofold)(const Problem &, const PlasticSimulation &, Spikes *);
  Outcome (*find_places)(const Problem &, const Places &);
};

PlasticKernels plastic_kernels_of_baseline();
PlasticKernels plastic_kernels_of_avx2();
PlasticKernels plastic_kernels_of_avx512();

}  // namespace sparsebrain
