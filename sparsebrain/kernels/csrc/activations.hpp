// Activations and their derivatives, on vectors.
#pragma once

#include "vectors.hpp"

namespace sparsebrain {
namespace {

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
// r, |r| <= ln 2 / 2, and n added to the exponent. `tail` is what x lacks of its argument, and small.
template <class Real, int lanes, class... Tail>
INLINE typename Vector<Real, lanes>::type exponential(typename Vector<Real, lanes>::type x,
                                                      Tail... tail) {
  using V = Vector<Real, lanes>;
  using Of = Exponential<Real>;
  x = x < Of::lowest ? V::all(Of::lowest) : x;
  x = x > Of::highest ? V::all(Of::highest) : x;
  const auto shifted = x * Of::log2_e + Of::round;
  const auto n = shifted - Of::round;
  const auto r = (((x - n * Of::ln2_high) - n * Of::ln2_low) + ... + tail);
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
  // The constant changes no result, and keeps u from becoming subnormal, where a product takes 150
  // cycles.
  const auto u = x * x + 1e-30f;
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

// 1 / (1 + exp(-x)); zero where exp(-x) leaves the numbers, and NaN of NaN.
template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type logistic(typename Vector<Real, lanes>::type x) {
  using V = Vector<Real, lanes>;
  const auto y = Real(1) / (exponential<Real, lanes>(-x) + Real(1));
  const auto tail = x < Exponential<Real>::lowest ? V::all(0) : y;
  return x == x ? tail : x;
}

// ln(1 + exp(x)), and x itself above 20, as torch has it: max(x, 0) + ln(1 + w), w = exp(-|x|), with
// ln(1 + w) = 2 artanh(w / (2 + w)) by Taylor's series, of which the square is 1/9 at most.
template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type softplus(typename Vector<Real, lanes>::type x) {
  using V = Vector<Real, lanes>;
  constexpr int terms = sizeof(Real) == 4 ? 8 : 17;
  const auto size = x < Real(0) ? -x : x;
  const auto e = exponential<Real, lanes>(-size);
  const auto w = size > -Exponential<Real>::lowest ? V::all(0) : e;
  const auto s = w / (w + Real(2)), u = s * s;
  auto p = V::all(Real(1) / (2 * terms - 1));
  for (int i = terms - 1; i > 0; --i) p = p * u + Real(1) / Real(2 * i - 1);
  const auto y = (x > Real(0) ? x : V::all(0)) + (s + s) * p;
  const auto linear = x > Real(20) ? x : y;
  return x == x ? linear : x;
}

template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type softplus_slope(typename Vector<Real, lanes>::type x) {
  const auto y = logistic<Real, lanes>(x);
  return x > Real(20) ? Vector<Real, lanes>::all(1) : y;
}

// Mills' ratio: exp(z^2 / 2) Phi(-z) (1 + 5/4 z) for 0 <= z < `most` as a polynomial in
// t = (z - middle) / (z + middle), interpolated at Chebyshev's nodes to relative error 6e-9 and
// 1.3e-17. Beyond `most` exp(-z^2 / 2) is no normal number. `high` are the bits of z that a square
// holds exactly.
template <class Real>
struct Mills;
template <>
struct Mills<float> {
  static constexpr float most = 13.19f, middle = 3;
  static constexpr uint32_t high = 0xfffff000;
  static constexpr float factors[] = {
      5.27609999e-5f,   -8.97899077e-6f, -6.16963261e-4f, -3.32052901e-4f,
      3.9877287e-3f,    7.15486132e-4f,  -2.9942164e-2f,  6.80093493e-2f,
      -5.13466431e-2f,  -6.90578307e-2f, 0.577191257f};
};
template <>
struct Mills<double> {
  static constexpr double most = 37.62, middle = 5;
  static constexpr uint64_t high = 0xfffffffff8000000;
  static constexpr double factors[] = {
      1.0562474609672795098e-9, 5.2916026862322429198e-9, -6.2401306450333243116e-12,
      -4.1783354074209172384e-8, -2.487582290277099324e-8, 2.5874602424623346235e-7,
      1.3688585027041202751e-7, -1.6984681179302792254e-6, 8.2376859047666055747e-8,
      0.000011644049400196466248, -0.000014031608855861494793, -0.000067250371376637960554,
      0.00024302460285923710788, -0.000023829599147599290797, -0.0021499781172582138732,
      0.0087472119099327163887, -0.0212108618910357686, 0.036524679177457808376,
      -0.044965141778898740075, 0.032723909797539668859, 0.0097707575609529973632,
      -0.078575963476508037608, 0.55766496106879564535};
};

template <class Real, int lanes>
struct Normal {
  typename Vector<Real, lanes>::type below;  // the distribution function of the normal law at x
  typename Vector<Real, lanes>::type bell;   // exp(-x^2 / 2)
};

template <class Real, int lanes>
INLINE Normal<Real, lanes> normal(typename Vector<Real, lanes>::type x) {
  using V = Vector<Real, lanes>;
  using Of = Mills<Real>;
  const auto size = x < Real(0) ? -x : x;
  const auto z = size > Of::most ? V::all(Of::most) : size;
  // The rounding of z^2 would grow in the exponent.
  const auto high = V::value(V::bits(z) & Of::high);
  const auto rest = (z - high) * (z + high) * Real(-0.5);
  const auto e = exponential<Real, lanes>(high * high * Real(-0.5), rest);
  const auto bell = size > Of::most ? V::all(0) : e;
  const auto t = (z - Of::middle) / (z + Of::middle);
  auto p = V::all(Of::factors[0]);
  for (size_t i = 1; i < sizeof Of::factors / sizeof(Real); ++i) p = p * t + Of::factors[i];
  const auto beyond = bell * p / (z * Real(1.25) + Real(1));
  return {x < Real(0) ? beyond : Real(1) - beyond, bell};
}

// Those whose derivative cannot be told from their value.
constexpr bool of_argument(Activation kind) {
  return kind == Activation::gelu || kind == Activation::silu || kind == Activation::softplus;
}

// The longer ones are calls: inlined into the loops over synapses, they would take the registers of
// their sums.
template <class Real, int lanes, int count>
__attribute__((noinline)) void activate_at_length(typename Vector<Real, lanes>::type (&u)[count],
                                                  Activation kind) {
  for (auto &each : u) {
    if (kind == Activation::gelu) each = each * normal<Real, lanes>(each).below;
    if (kind == Activation::silu) each = each * logistic<Real, lanes>(each);
    if (kind == Activation::softplus) each = softplus<Real, lanes>(each);
  }
}

// The factor f'(u), written over u.
template <class Real, int lanes>
__attribute__((noinline)) void slope_at_length(typename Vector<Real, lanes>::type &u,
                                               Activation kind) {
  if (kind == Activation::gelu) {
    const auto law = normal<Real, lanes>(u);
    u = law.below + u * law.bell * Real(0.39894228040143267794);
  } else if (kind == Activation::silu) {
    const auto share = logistic<Real, lanes>(u);
    u = share * (Real(1) + u * (Real(1) - share));
  } else {
    u = softplus_slope<Real, lanes>(u);
  }
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
      for (auto &each : u) each = logistic<Real, lanes>(each);
      return;
    case Activation::relu:
      for (auto &each : u) each = each > Real(0) || each != each ? each : V::all(0);
      return;
    case Activation::leaky_relu:
      for (auto &each : u) each = each > Real(0) ? each : each * Real(0.01);
      return;
    case Activation::hardtanh:
      for (auto &each : u) {
        const auto least = each < Real(-1) ? V::all(-1) : each;
        each = least > Real(1) ? V::all(1) : least;
      }
      return;
    case Activation::gelu:
    case Activation::silu:
    case Activation::softplus: {
      // A copy, as what is passed by address leaves the registers from the start.
      typename V::type passed[count];
      for (int v = 0; v < count; ++v) passed[v] = u[v];
      activate_at_length<Real, lanes, count>(passed, kind);
      for (int v = 0; v < count; ++v) u[v] = passed[v];
    }
  }
}

// grad * f'(u) from y = f(u), or from u where of_argument(kind).
template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type differentiate(typename Vector<Real, lanes>::type grad,
                                                        typename Vector<Real, lanes>::type y,
                                                        Activation kind) {
  using V = Vector<Real, lanes>;
  switch (kind) {
    case Activation::none: return grad;
    case Activation::tanh: return grad * (Real(1) - y * y);
    case Activation::sigmoid: return grad * (y * (Real(1) - y));
    // So turned that of NaN the gradient passes, as torch has it.
    case Activation::relu: return y <= Real(0) ? V::all(0) : grad;
    case Activation::leaky_relu: return y > Real(0) ? grad : grad * Real(0.01);
    case Activation::hardtanh: {
      const auto inside = y >= Real(1) ? V::all(0) : grad;
      return y <= Real(-1) ? V::all(0) : inside;
    }
    case Activation::gelu:
    case Activation::silu:
    case Activation::softplus: {
      typename V::type passed = y;
      slope_at_length<Real, lanes>(passed, kind);
      return grad * passed;
    }
  }
  return grad;
}

}  // namespace
}  // namespace sparsebrain
