// What Python asks for, and the table of kernels that each instruction set fills.
#pragma once

#include <cstdint>

namespace sparsebrain {

enum class Activation : int { none, tanh, sigmoid, relu, leaky_relu };

// One compressed-sparse-row view: rows are the neurons that gather. `order` is the synapse at each
// place, or null where synapses already stand so. Indices are int32, or int64 where `wide`.
struct Rows {
  const void *pointer;
  const void *neuron;
  const void *order;
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

// x <- (1 - leak) x + leak f(W x + b + drive).
struct Response {
  Activation activation;
  const void *bias;  // or null
  const void *leak;  // or null
  View drive;
};

struct Forward {
  int64_t loops;
  Response fused;
  const void *weight;
  View state;
  const View *out;  // every state, or the last alone
  bool keep;        // which of both
  void *tape;       // [tiles][loops + 1][neurons][tile], or null where nothing learns
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
};

struct Product {
  const void *weight;
  const void *x;
  void *y;
  bool transpose;
};

struct Correlation {
  const void *post;
  const void *pre;
  void *out;
};

// A kernel returns false where memory ran out.
template <class Real>
struct Table {
  bool (*loop)(const Problem &, const Forward &);
  bool (*loop_backward)(const Problem &, const Backward &);
  bool (*propagate)(const Problem &, const Product &);
  bool (*correlate)(const Problem &, const Correlation &);
};

struct Kernels {
  Table<float> single;
  Table<double> twofold;
};

Kernels kernels_of_baseline();
Kernels kernels_of_avx2();
Kernels kernels_of_avx512();

}  // namespace sparsebrain
