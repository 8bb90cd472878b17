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

// x = n ln 2 + r; the factors are those of Taylor's series in r, the last two 1.
template <class Real>
struct Exponential;
template <>
struct Exponential<float> {
  static constexpr float lowest = -87, highest = 88;
  static constexpr float round = 12582912;  // 1.5 * 2^23 leaves the rounded quotient in the last bits
  static constexpr float log2_e = 1.44269504f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr int mantissa = 23;
  static constexpr float factors[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24,
                                      1.0f / 6,    0.5f,       1.0f,       1.0f};
};
template <>
struct Exponential<double> {
  static constexpr double lowest = -708, highest = 709;
  static constexpr double round = 6755399441055744;  // 1.5 * 2^52
  static constexpr double log2_e = 1.4426950408889634;
  static constexpr double ln2_high = 0.693145751953125, ln2_low = 1.42860682030941723212e-6;
  static constexpr int mantissa = 52;
  static constexpr double factors[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
      1.0 / 40320,      1.0 / 5040,      1.0 / 720,      1.0 / 120,     1.0 / 24,
      1.0 / 6,          0.5,             1.0,            1.0};
};

// exp(x) to two units in the last place, x clamped to what the exponent can hold: a polynomial in
// r, |r| <= ln 2 / 2, and n added to the exponent.
template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type exponential(typename Vector<Real, lanes>::type x) {
  using V = Vector<Real, lanes>;
  using Of = Exponential<Real>;
  x = x < Of::lowest ? V::all(Of::lowest) : x;
  x = x > Of::highest ? V::all(Of::highest) : x;
  const auto shifted = x * Of::log2_e + Of::round;
  const auto n = shifted - Of::round;
  const auto r = (x - n * Of::ln2_high) - n * Of::ln2_low;
  auto p = V::all(Of::factors[0]);
  for (size_t i = 1; i < sizeof Of::factors / sizeof(Real); ++i) p = p * r + Of::factors[i];
  return V::value(V::bits(p) + (V::bits(shifted) << Of::mantissa));
}

// x, or the nearer of -bound and bound; what is no number stays none.
template <int lanes>
INLINE typename Vector<float, lanes>::type between(typename Vector<float, lanes>::type x,
                                                   float bound) {
  using V = Vector<float, lanes>;
#if defined(__AVX512F__)
  // With a mask of all lanes, as compilers warn of what the plain forms leave undefined.
  if constexpr (lanes == 16) {
    const auto least = _mm512_maskz_min_ps(0xffff, _mm512_set1_ps(bound), (__m512)x);
    return (typename V::type)_mm512_maskz_max_ps(0xffff, _mm512_set1_ps(-bound), least);
  }
#endif
  x = x < -bound ? V::all(-bound) : x;
  return x > bound ? V::all(bound) : x;
}

// p / q for q that has a normal reciprocal. The divider of 512 bits takes 16 cycles or more; its
// estimate of 14 bits and one step of Newton's method take a third of it.
template <int lanes>
INLINE typename Vector<float, lanes>::type quotient(typename Vector<float, lanes>::type p,
                                                    typename Vector<float, lanes>::type q) {
#if defined(__AVX512F__)
  if constexpr (lanes == 16) {
    const auto estimate = (typename Vector<float, lanes>::type)_mm512_maskz_rcp14_ps(0xffff, (__m512)q);
    const auto y = p * estimate;
    return y + estimate * (p - q * y);
  }
#endif
  return p / q;
}

// tanh, to four units in the last place. Single precision: x P(x^2) / Q(x^2), both of degree 4,
// fitted to relative error 2.2e-8 on |x| < 9.02, beyond which tanh rounds to 1.
template <int lanes>
INLINE typename Vector<float, lanes>::type hyperbolic(typename Vector<float, lanes>::type x) {
  x = between<lanes>(x, 9.02f);
  const auto u = x * x;
  auto p = u * 1.332164362e-8f + 2.058574771e-5f;
  p = p * u + 3.494192421e-3f;
  p = p * u + 0.1337985866f;
  p = p * u + 0.9999999803f;
  auto q = u * 7.763189809e-7f + 3.283336292e-4f;
  q = q * u + 2.587169711e-2f;
  q = q * u + 0.4671317448f;
  q = q * u + 1.0f;
  return between<lanes>(quotient<lanes>(x * p, q), 1.0f);
}

// Double precision: 1 - 2 / (exp(2 |x|) + 1), and near zero, where that cancels, a rational
// function x + x^3 P(x^2) / Q(x^2), fitted to relative error 1.8e-17 on |x| < 0.626.
template <int lanes>
INLINE typename Vector<double, lanes>::type hyperbolic(typename Vector<double, lanes>::type x) {
  const auto size = x < 0.0 ? -x : x;
  const auto far = 1.0 - 2.0 / (exponential<double, lanes>(size + size) + 1.0);
  const auto u = x * x;
  auto p = u * -0.00019918144977310725791 + -0.020498876637361288522;
  p = p * u + -0.3333333333333333277;
  auto q = u * 0.00020653738534473844101 + 0.023291434409490804447;
  q = q * u + 0.46149662991208059641;
  q = q * u + 1.0;
  const auto near = x + x * u * (p / q);
  const auto signed_far = x < 0.0 ? -far : far;
  // Not-a-number fails both comparisons and must stay what it is.
  const auto y = size < 0.625 ? near : signed_far;
  return x == x ? y : x;
}

// f in place.
template <class Real, int lanes, int count>
INLINE void activate(typename Vector<Real, lanes>::type (&u)[count], Activation kind) {
  using V = Vector<Real, lanes>;
  switch (kind) {
    case Activation::none: return;
    case Activation::tanh:
      for (auto &each : u) each = hyperbolic<lanes>(each);
      return;
    case Activation::sigmoid:
      for (auto &each : u) {
        const auto y = Real(1) / (exponential<Real, lanes>(-each) + Real(1));
        each = each == each ? y : each;
      }
      return;
    case Activation::relu:
      for (auto &each : u) each = each > Real(0) || each != each ? each : V::all(0);
      return;
    case Activation::leaky_relu:
      for (auto &each : u) each = each > Real(0) ? each : each * Real(0.01);
      return;
  }
}

// grad * f'(u) from y = f(u).
template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type differentiate(typename Vector<Real, lanes>::type grad,
                                                        typename Vector<Real, lanes>::type y,
                                                        Activation kind) {
  using V = Vector<Real, lanes>;
  switch (kind) {
    case Activation::tanh: return grad * (Real(1) - y * y);
    case Activation::sigmoid: return grad * (y * (Real(1) - y));
    case Activation::relu: return y > Real(0) ? grad : V::all(0);
    case Activation::leaky_relu: return y > Real(0) ? grad : grad * Real(0.01);
    default: return grad;
  }
}

// Adds neighbours: where a and b hold sums of `step` lanes each, the result holds those of twice as
// many, of a and b in turn.
template <class Real, int lanes, int step, int... at>
INLINE typename Vector<Real, lanes>::type add_neighbours(typename Vector<Real, lanes>::type a,
                                                         typename Vector<Real, lanes>::type b,
                                                         std::integer_sequence<int, at...>) {
#define FROM(i) ((i) % (2 * step) < step ? (i) : lanes + (i)-step)
  return __builtin_shufflevector(a, b, FROM(at)...) +
         __builtin_shufflevector(a, b, (FROM(at) + step)...);
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
    return add_neighbours<Real, lanes, half>(sums<Real, lanes, half>(values, first),
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
    return part ? __builtin_shufflevector(v, v, (many + at)...)
                : __builtin_shufflevector(v, v, at...);
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
  return __builtin_shufflevector(
      a, b, ((at & step) ? lanes + at - (second ? 0 : step) : at + (second ? step : 0))...);
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

}  // namespace
}  // namespace sparsebrain
