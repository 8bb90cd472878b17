// Random words from a counter: each is a hash of (key, step, neuron, sample), so it depends neither on
// threads and tiles nor on what was drawn before. kernels/counter.py has the definition.
#pragma once

#include "vectors.hpp"

namespace sparsebrain {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

// A bijection of 64 bits, the finalizer of SplitMix64.
inline uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

inline uint64_t key_of_step(uint64_t key, int64_t step) {
  return mix64(mix64(key) + kGolden * uint64_t(step + 1));
}

inline uint64_t key_of_neuron(uint64_t of_step, int64_t neuron) {
  return mix64(of_step + kGolden * uint64_t(neuron + 1));
}

// 32-bit integers beside `lanes` values of any width.
template <int lanes>
struct Words {
  typedef uint32_t type __attribute__((vector_size(4 * lanes)));
  typedef int32_t whole __attribute__((vector_size(4 * lanes)));
};
template <>
struct Words<1> {
  using type = uint32_t;
  using whole = int32_t;
};

template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type converted(typename Words<lanes>::whole k) {
  if constexpr (lanes == 1)
    return Real(k);
  else
    return __builtin_convertvector(k, typename Vector<Real, lanes>::type);
}

// The rest of the hash, from both halves of a neuron's key, with the sample in the lower one.
template <class Many>
INLINE Many mixed(Many low, Many high) {
  low = (low ^ (low >> 16)) * 0x21F0AAADu;
  low = (low ^ (low >> 15) ^ high) * 0xD35A2D97u;
  return low ^ (low >> 15);
}

// The hash of the samples `first`, first + 1, ... of a neuron.
template <int lanes>
INLINE typename Words<lanes>::type hashes(uint64_t of_neuron, uint32_t first) {
  using Many = typename Words<lanes>::type;
  Many low = Many{} + uint32_t(of_neuron);
  if constexpr (lanes == 1) {
    low += first * 0x9E3779B9u;
  } else {
    Many place;
    for (int lane = 0; lane < lanes; ++lane) place[lane] = uint32_t(lane) * 0x9E3779B9u;
    low += place + first * 0x9E3779B9u;
  }
  return mixed<Many>(low, Many{} + uint32_t(of_neuron >> 32));
}

// Of each word a number in [0, 1), a multiple of 2^-24.
template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type uniform_of(typename Words<lanes>::type hash) {
  const auto shifted = hash >> 8;
  typename Words<lanes>::whole k;
  std::memcpy(&k, &shifted, sizeof k);
  return converted<Real, lanes>(k) * (Real(1) / (1 << 24));
}

}  // namespace
}  // namespace sparsebrain
