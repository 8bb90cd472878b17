// What Python asks for, and the table of kernels that each instruction set fills.
#pragma once

#include <cstdint>

namespace sparsebrain {

// Names and numbers of activations.py, which are compared when the module is loaded. A number is
// never given to another activation.
#define EACH_ACTIVATION(X) \
  X(none, 0) \
  X(tanh, 1) \
  X(sigmoid, 2) \
  X(relu, 3) \
  X(leaky_relu, 4) \
  X(gelu, 5) \
  X(silu, 6) \
  X(softplus, 7) \
  X(hardtanh, 8)

enum class Activation : int {
#define ENTRY(name, number) name = number,
  EACH_ACTIVATION(ENTRY)
#undef ENTRY
};

// One compressed-sparse-row view: rows are the neurons that gather. `order` is the synapse at each
// place, or null where synapses already stand so. Indices are int32, or int64 where `wide`.
struct Rows {
  const void *pointer;
  const void *neuron;
  const void *order;
};

// Two rows that follow each other. Their places begin at `begin`; 2 * `shared` of them are those of
// both rows in turn that have the same neuron, and `first` more belong to the first row.
struct RowPair {
  int32_t begin, shared, first;
};

// Rows in pairs, and the neuron and the synapse at each place; all null where rows are not paired.
// The last pair is followed by another that begins where it ends.
struct Pairs {
  const RowPair *pair;
  const int32_t *neuron;
  const int32_t *order;
};

struct Problem {
  Rows by_target;
  Rows by_source;
  bool wide;
  int64_t neurons;
  int64_t synapses;
  int64_t batch;  // columns of every state [neurons, batch]
  int64_t tile;   // columns that are kept together: states are [tiles][neurons][tile]
  int threads;
};

// States [neurons, batch] of the caller: what lies between two neurons and two samples, counted in
// values. `data` is null where there are none.
struct View {
  void *data;
  int64_t neuron, sample;
};

// Normal noise with the standard deviation `std`, which is 0 where there is none. `first` is the
// number of the first loop.
struct Noise {
  uint64_t key;
  int64_t first;
  double std;
};

// x <- (1 - leak) x + leak f(W x + b + drive) + noise, or, as a voltage,
// x <- (1 - leak) x + leak (W f(x) + b + drive) + noise.
struct Response {
  Activation activation;
  bool voltage;
  const void *bias;  // or null
  const void *leak;  // or null
  View drive;
  Noise noise;
  bool narrow;  // whether states are kept as bfloat16; for float, 32-bit indices and rates
};

// Weights, and whether they lie in the order of the rows or pairs that read them rather than of the
// synapses.
struct Weights {
  const void *data;
  bool arranged;
};

// Weights in the order of rows, kept from one call to the next. `key` holds what `data` was made of:
// kKeyWords words for every kKeyChunk weights.
constexpr int64_t kKeyChunk = 1 << 16;
constexpr int64_t kKeyWords = 64;

struct Arrangement {
  const void *weight;
  void *data;
  uint32_t *key;
  bool transpose;
  Pairs pairs;  // if there are any, their order
};

struct Forward {
  int64_t loops;
  Response fused;
  Weights weight;
  View state;
  const View *out;  // every state, or the last alone
  bool keep;        // which of both
  void *tape;       // [tiles][loops + 1][neurons][tile], or null where nothing learns
  Pairs pairs;      // of targets
};

struct Backward {
  int64_t loops;
  Response fused;
  const void *weight;
  const void *tape;
  const View *grads;  // of the state after each loop
  void *grad_weight;  // or null, as the next two
  void *grad_bias;
  void *grad_leak;
  View grad_drive;
  View grad_state;
  // With checkpoints there is no tape: the states before every `segment` loops, or 0 and null.
  int64_t segment;
  const View *starts;
  Pairs pairs;  // of sources
};

// Values of every step [steps, neurons, batch], such as the drive of a sequence: what lies between
// two steps, neurons and samples. `data` is null where there are none.
struct Steps {
  void *data;
  int64_t step, neuron, sample;
};

// All steps of a sequence, each with the same number of loops and a drive of its own; `fused` has
// none.
struct Sequence {
  int64_t steps, loops;
  Response fused;
  const void *weight;
  Steps drive;
  View state;  // before the first step
  Steps out;   // the state after every step
  void *tape;  // [tiles][steps * loops + 1][neurons][tile], or null where nothing learns
};

struct SequenceBackward {
  int64_t steps, loops;
  Response fused;
  const void *weight;
  const void *tape;
  Steps drive;
  Steps grads;        // of the state after every step
  View grad_last;     // is added to that of the last one
  void *grad_weight;  // or null, as the next two
  void *grad_bias;
  void *grad_leak;
  Steps grad_drive;
  View grad_state;
};

// y = W x + b + drive.
struct Product {
  Weights weight;
  const void *x;
  void *y;
  bool transpose;
  const void *bias;   // or null, as the next
  const void *drive;
};

struct Correlation {
  const void *post;
  const void *pre;
  void *out;
};

// The noise of one loop for every neuron and sample.
struct Draw {
  Noise noise;
  View out;
};

// The synapses of one sign into a layer. Strengths lie by target and then source from `first` on;
// `width` is the number of sources, from `low` on, of a layer where all are there, and `pointer` is
// then -1. Else `pointer` and `neuron` say where in the index their arrays begin.
struct Wires {
  int64_t first, low, width, pointer, neuron;
};

// Cells that are computed at once, those of type + first, and what they hear of the layer before,
// which has `height` rows in each network, or in all together where it is `shared`. With a bias the
// state has a row before the cells and one behind them. `read` is the cell that is read, or -1.
struct Layer {
  int64_t targets, positive, height, shared, bias, read;
  Wires plus, minus;
};

// A step of error diffusion: `strength` is folded, `grad` and `loss` are written.
struct Diffusion {
  const Layer *layers;
  int64_t depth;
  const int32_t *index;
  int64_t networks, features, batch, synapses;
  const void *x;     // [batch, features]
  const int64_t *y;  // [batch]
  void *strength;
  void *grad;
  void *loss;
  double slope, bias_value;
  bool bias, linear, fold, entropy, mean;
  int threads;
};

// Chains of neurons that are 0 or 1, updated color by color. `neuron` holds those of color c from
// start[c] to start[c + 1], and `state` [neurons, batch] is read and written.
struct Sampling {
  const void *weight;
  const void *bias;
  uint8_t *state;
  const int32_t *neuron;
  const int32_t *start;
  int64_t colors;
  const uint8_t *clamped;  // or null
  int64_t sweeps;
  uint64_t seed;
  int64_t offset;
};

enum class Outcome : int { done, refused, no_memory };

struct JoinForward;   // joins.hpp
struct JoinBackward;

// Kernels of a problem refuse index arrays that lead out of it.
template <class Real>
struct Table {
  Outcome (*loop)(const Problem &, const Forward &) = nullptr;
  Outcome (*loop_backward)(const Problem &, const Backward &) = nullptr;
  Outcome (*propagate)(const Problem &, const Product &) = nullptr;
  Outcome (*correlate)(const Problem &, const Correlation &) = nullptr;
  Outcome (*arrange)(const Problem &, const Arrangement &) = nullptr;
  Outcome (*draw)(const Problem &, const Draw &) = nullptr;
  Outcome (*diffuse)(const Diffusion &) = nullptr;
  Outcome (*gibbs)(const Problem &, const Sampling &) = nullptr;
  Outcome (*sequence)(const Problem &, const Sequence &) = nullptr;
  Outcome (*sequence_backward)(const Problem &, const SequenceBackward &) = nullptr;
  Outcome (*join_loop)(const Problem &, const JoinForward &) = nullptr;
  Outcome (*join_loop_backward)(const Problem &, const JoinBackward &) = nullptr;
  // With states that are kept as bfloat16; null in double precision.
  Outcome (*narrow_loop)(const Problem &, const Forward &) = nullptr;
  Outcome (*narrow_loop_backward)(const Problem &, const Backward &) = nullptr;
};

struct Kernels {
  Table<float> single;
  Table<double> twofold;
};

// What each instruction set has: all its kernels, and functions that fill in a part of the tables.
#define EACH_PART(set) \
  Kernels kernels_of_##set(); \
  void add_twofold_of_##set(Kernels &); \
  void add_narrow_of_##set(Kernels &); \
  void add_diffusion_of_##set(Kernels &); \
  void add_sequences_of_##set(Kernels &); \
  void add_gibbs_of_##set(Kernels &); \
  void add_joins_of_##set(Kernels &);
EACH_PART(baseline)
EACH_PART(avx2)
EACH_PART(avx512)
#undef EACH_PART

}  // namespace sparsebrain
