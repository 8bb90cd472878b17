// Vectors of the width of the instruction set that this file is compiled for, and what the loops
// compute with them. The compiler's vector types are used, so one source serves every machine.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels.hpp"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace sparsebrain {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

// Compilers give up on the deep trees below, and accumulators would go through memory.
#define INLINE __attribute__((always_inline)) inline

template <class Real>
struct Whole;  // unsigned: bits are shifted out
template <>
struct Whole<float> {
  using type = uint32_t;
};
template <>
struct Whole<double> {
  using type = uint64_t;
};

template <class Real, int lanes>
struct Lanes {
  typedef Real values __attribute__((vector_size(lanes * sizeof(Real))));
  typedef typename Whole<Real>::type wholes __attribute__((vector_size(lanes * sizeof(Real))));
};
// A vector of one would go through memory.
template <class Real>
struct Lanes<Real, 1> {
  using values = Real;
  using wholes = typename Whole<Real>::type;
};

// `lanes` values of one vector. Loads and stores need no alignment.
template <class Real, int lanes>
struct Vector {
  using type = typename Lanes<Real, lanes>::values;
  using mask = typename Lanes<Real, lanes>::wholes;

  static INLINE type load(const Real *from) {
    type value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  // For what is used twice: compilers would load it twice, and loads are what limits most loops.
  static INLINE type load_once(const Real *from) {
    type value = load(from);
#if defined(__AVX512F__)
    asm("" : "+v"(value));
#endif
    return value;
  }
  static INLINE void store(Real *to, type value) { std::memcpy(to, &value, sizeof value); }
  static INLINE type all(Real value) { return value - type{}; }
  static INLINE mask bits(type value) {
    mask raw;
    std::memcpy(&raw, &value, sizeof raw);
    return raw;
  }
  static INLINE type value(mask raw) {
    type real;
    std::memcpy(&real, &raw, sizeof real);
    return real;
  }
};

#if !defined(__has_builtin)
#define __has_builtin(name) 0
#endif

// Lane j of the result is lane at[j] of a and b, which are counted as one vector.
template <class Real, int lanes, int... at>
INLINE typename Vector<Real, lanes>::type shuffle(typename Vector<Real, lanes>::type a,
                                                  typename Vector<Real, lanes>::type b) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(a, b, at...);
#else  // GCC before 12
  return __builtin_shuffle(a, b, typename Vector<Real, lanes>::mask{at...});
#endif
}

// Adds neighbors: where a and b hold sums of `step` lanes each, the result holds those of twice as
// many, of a and b in turn.
template <class Real, int lanes, int step, int... at>
INLINE typename Vector<Real, lanes>::type add_neighbors(typename Vector<Real, lanes>::type a,
                                                         typename Vector<Real, lanes>::type b,
                                                         std::integer_sequence<int, at...>) {
#define FROM(i) ((i) % (2 * step) < step ? (i) : lanes + (i)-step)
  return shuffle<Real, lanes, FROM(at)...>(a, b) +
         shuffle<Real, lanes, (FROM(at) + step)...>(a, b);
#undef FROM
}

// Lane j of the result holds the sum of all lanes of values(j), for j < `many`; with fewer values
// than lanes the sums repeat. It is a transpose that adds as it goes, three instructions a sum.
template <class Real, int lanes, int many, class Values>
INLINE typename Vector<Real, lanes>::type sums(const Values &values, int first = 0) {
  if constexpr (many == 1) {
    return values(first);
  } else {
    constexpr int half = many / 2;
    return add_neighbors<Real, lanes, half>(sums<Real, lanes, half>(values, first),
                                             sums<Real, lanes, half>(values, first + half),
                                             std::make_integer_sequence<int, lanes>{});
  }
}

template <class Real, int many, int... at>
INLINE typename Vector<Real, many>::type half(typename Vector<Real, 2 * many>::type v, int part,
                                              std::integer_sequence<int, at...>) {
  if constexpr (many == 1)
    return v[part];
  else
#if __has_builtin(__builtin_shufflevector)
    return part ? __builtin_shufflevector(v, v, (many + at)...)
                : __builtin_shufflevector(v, v, at...);
#else
    return part ? typename Vector<Real, many>::type{v[many + at]...}
                : typename Vector<Real, many>::type{v[at]...};
#endif
}

// The first `many` lanes, to which those that repeat them are added.
template <class Real, int lanes, int many>
INLINE typename Vector<Real, many>::type fold(typename Vector<Real, lanes>::type v) {
  if constexpr (lanes == many) {
    return v;
  } else {
    const auto at = std::make_integer_sequence<int, lanes / 2>{};
    return fold<Real, lanes / 2, many>(half<Real, lanes / 2>(v, 0, at) +
                                       half<Real, lanes / 2>(v, 1, at));
  }
}

// Takes from a and b in turns of `step` lanes, the first turn of each, or the second.
template <class Real, int lanes, int step, int second, int... at>
INLINE typename Vector<Real, lanes>::type take_turns(typename Vector<Real, lanes>::type a,
                                                     typename Vector<Real, lanes>::type b,
                                                     std::integer_sequence<int, at...>) {
  return shuffle<Real, lanes,
                 ((at & step) ? lanes + at - (second ? 0 : step) : at + (second ? step : 0))...>(a, b);
}

// Rows become lanes: squares of `step` rows and lanes change places, smaller ones within them next.
template <class Real, int lanes, int step = lanes / 2>
INLINE void transpose(typename Vector<Real, lanes>::type (&rows)[lanes]) {
  if constexpr (step > 0) {
    const auto at = std::make_integer_sequence<int, lanes>{};
    for (int i = 0; i < lanes; ++i) {
      if (i & step) continue;
      const auto a = rows[i], b = rows[i + step];
      rows[i] = take_turns<Real, lanes, step, 0>(a, b, at);
      rows[i + step] = take_turns<Real, lanes, step, 1>(a, b, at);
    }
    transpose<Real, lanes, step / 2>(rows);
  }
}

template <class Real, int lanes>
INLINE Real sum(typename Vector<Real, lanes>::type v) {
  return fold<Real, lanes, 1>(v);
}

// The sum of weight times x along the synapses of one row, as many at once as a vector holds. Only
// where gathering is one instruction that beats as many loads.
template <class Real, class Index>
struct Along {
  static constexpr bool possible = false;
};

#if defined(__AVX512F__)
template <>
struct Along<float, int32_t> {
  static constexpr bool possible = true;

  template <bool ordered>
  static INLINE __m512 some(__mmask16 some, const float *weight, const int32_t *order,
                            const int32_t *neuron, const float *x, int32_t at, __m512 total) {
    const __m512 zero = _mm512_setzero_ps();
    const __m512 from = _mm512_mask_i32gather_ps(zero, some, _mm512_maskz_loadu_epi32(some, neuron + at), x, 4);
    const __m512 w = ordered ? _mm512_mask_i32gather_ps(zero, some, _mm512_maskz_loadu_epi32(some, order + at), weight, 4)
                             : _mm512_maskz_loadu_ps(some, weight + at);
    return _mm512_fmadd_ps(w, from, total);
  }

  template <bool ordered>
  static INLINE float sum(const float *weight, const int32_t *order, const int32_t *neuron,
                          const float *x, int32_t at, int32_t end) {
    __m512 total = _mm512_setzero_ps();
    for (; at + 16 <= end; at += 16) total = some<ordered>(0xFFFF, weight, order, neuron, x, at, total);
    if (at < end) total = some<ordered>(__mmask16((1u << (end - at)) - 1), weight, order, neuron, x, at, total);
    return sparsebrain::sum<float, 16>(total);
  }
};

template <>
struct Along<double, int32_t> {
  static constexpr bool possible = true;

  template <bool ordered>
  static INLINE __m512d some(__mmask8 some, const double *weight, const int32_t *order,
                             const int32_t *neuron, const double *x, int32_t at, __m512d total) {
    const __m512d zero = _mm512_setzero_pd();
    const __m512d from = _mm512_mask_i32gather_pd(zero, some, _mm256_maskz_loadu_epi32(some, neuron + at), x, 8);
    const __m512d w = ordered ? _mm512_mask_i32gather_pd(zero, some, _mm256_maskz_loadu_epi32(some, order + at), weight, 8)
                              : _mm512_maskz_loadu_pd(some, weight + at);
    return _mm512_fmadd_pd(w, from, total);
  }

  template <bool ordered>
  static INLINE double sum(const double *weight, const int32_t *order, const int32_t *neuron,
                           const double *x, int32_t at, int32_t end) {
    __m512d total = _mm512_setzero_pd();
    for (; at + 8 <= end; at += 8) total = some<ordered>(0xFF, weight, order, neuron, x, at, total);
    if (at < end) total = some<ordered>(__mmask8((1u << (end - at)) - 1), weight, order, neuron, x, at, total);
    return sparsebrain::sum<double, 8>(total);
  }
};
#endif

}  // namespace
}  // namespace sparsebrain
