// Normal noise from the words of a counter. kernels/noise.py has the definition.
#pragma once

#include "counter.hpp"

namespace sparsebrain {
namespace {

// The factor z / x of z = sqrt(2) erfinv(x) as a function of w = -ln(1 - x^2): a polynomial in
// w - 3 up to w = 6, and in t = (w - 11.25) / (w + 10) up to w = 21.5, beyond which no hash leads.
// Both are interpolated at Chebyshev's nodes, to relative error 7e-8 and 7e-18.
template <class Real>
struct Quantile;
template <>
struct Quantile<float> {
  static constexpr float central[] = {
      -7.751285568e-9f, -5.884826367e-9f, 6.343786221e-7f, -2.670690887e-6f, -1.797444751e-5f,
      2.764702188e-4f, -0.001182551468f, -0.008115623547f, 0.3417169968f, 2.296035246f};
  static constexpr float tail[] = {
      1.762360332f, 1.443917869f, 1.337042823f, 1.683848458f, 1.478906614f, 1.90528939f,
      2.196675256f, 2.440826477f, 4.507962487f, 4.509346269f};
};
template <>
struct Quantile<double> {
  static constexpr double central[] = {
      6.132752489702977762e-21, -1.4437111134670954266e-20, -5.5382687912898316486e-19,
      2.8865922966353303373e-18, 1.820715736435365574e-17, -2.2987663589779812838e-16,
      3.8757848610227775543e-16, 8.9647031580853238826e-15, -7.4853928509061116406e-14,
      8.7550871298646315056e-15, 3.8169132339250581636e-12, -2.4506254490801235021e-11,
      -4.444244082515559115e-11, 1.5709047809438021472e-9, -7.7317586674035304919e-9,
      -3.3500917959197788652e-8, 6.3637549155177606485e-7, -2.4720482722140373405e-6,
      -1.7983737360546911559e-5, 2.7585837048035221198e-4, -0.0011825396095143892876,
      -0.0081149486522773766608, 0.34171699465347346034, 2.2960351246249896366};
  static constexpr double tail[] = {
      1.4354452816452946832, 1.3047398767504618336, 0.50863460756301916674, 0.90416917293299209231,
      1.1383880869576035063, 0.76130200906438540699, 0.70293431111735870673, 0.92059371917022706642,
      1.100582031950428616, 1.2424640407759026008, 0.97970167785055161441, 0.78963118937553295897,
      1.3386842545902920779, 1.4842300854566521624, 1.0291819371074306673, 1.3653214774177762046,
      1.7246775122712546477, 1.4777824278272178905, 1.9036879597501882666, 2.1966906128558941833,
      2.4408482246174989969, 4.5079624541242861166, 4.5093462223043405091};
};

template <class Real, int lanes, int size>
INLINE typename Vector<Real, lanes>::type polynomial(typename Vector<Real, lanes>::type x,
                                                     const Real (&factors)[size]) {
  auto p = Vector<Real, lanes>::all(factors[0]);
  for (int i = 1; i < size; ++i) p = p * x + factors[i];
  return p;
}

// -ln(v) for normal v > 0, to absolute error 1e-7 and 2e-16: v = 2^n (1 + f), with 1 + f from the
// square root of 1/2 to that of 2.
template <int lanes>
INLINE typename Vector<float, lanes>::type minus_log(typename Vector<float, lanes>::type v) {
  using V = Vector<float, lanes>;
  // ln(1 + f) / f, interpolated at Chebyshev's nodes.
  static constexpr float factors[] = {
      -0.09895350737f, 0.1612624791f, -0.1727820607f, 0.1991334788f, -0.2496890696f, 0.3333460602f,
      -0.5000037506f, 0.9999999681f};
  constexpr uint32_t root_half = 0x3F3504F3, bias = 128u << 23;
  // The bias keeps the exponent positive, so that the bits may be shifted as unsigned ones.
  const auto n = (V::bits(v) - root_half + bias) >> 23;
  const auto f = V::value(V::bits(v) - ((n - 128u) << 23)) - 1.0f;
  typename Words<lanes>::whole exponent;
  std::memcpy(&exponent, &n, sizeof n);
  const auto of_exponent = (128.0f - converted<float, lanes>(exponent)) * 0.693147181f;
  return of_exponent - f * polynomial<float, lanes>(f, factors);
}

template <int lanes>
INLINE typename Vector<double, lanes>::type minus_log(typename Vector<double, lanes>::type v) {
  using V = Vector<double, lanes>;
  constexpr uint64_t root_half = 0x3FE6A09E667F3BCD, bias = 1024ull << 52;
  const auto n = (V::bits(v) - root_half + bias) >> 52;
  const auto f = V::value(V::bits(v) - ((n - 1024ull) << 52)) - 1.0;
  // The exponent, below 2^52, becomes the last bits of 2^52.
  const auto exponent = V::value(n | 0x4330000000000000ull) - 4503599627370496.0;
  // ln(1 + f) = 2 artanh(s), s = f / (2 + f), by Taylor's series, s^2 < 0.0295.
  const auto s = f / (f + 2.0), u = s * s;
  auto p = V::all(1.0 / 23);
  for (int i = 10; i >= 0; --i) p = p * u + 1.0 / (2 * i + 1);
  return (1024.0 - exponent) * 0.69314718055994530942 - 2.0 * s * p;
}

template <class Mask>
INLINE bool any(const Mask &mask) {
  constexpr int many = sizeof(Mask) / 8;
  if constexpr (many == 0) {
    uint32_t word = 0;
    std::memcpy(&word, &mask, sizeof mask);
    return word != 0;
  } else {
    uint64_t words[many], found = 0;
    std::memcpy(words, &mask, sizeof words);
    for (uint64_t word : words) found |= word;
    return found != 0;
  }
}

// Whether a value is above `bound`.
template <class Real, int lanes>
INLINE bool any_above(typename Vector<Real, lanes>::type x, Real bound) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Real) == 4 && lanes == 16)
    return _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(bound), _CMP_GT_OQ) != 0;
  if constexpr (sizeof(Real) == 8 && lanes == 8)
    return _mm512_cmp_pd_mask((__m512d)x, _mm512_set1_pd(bound), _CMP_GT_OQ) != 0;
#endif
  if constexpr (lanes == 1)
    return x > bound;
  else
    return any(x > bound);
}

// The normal number z = sqrt(2) erfinv((2 k + 1) / 2^32) of each hash k, read as a signed integer.
template <class Real, int lanes>
INLINE typename Vector<Real, lanes>::type normal_of(typename Words<lanes>::type hash) {
  constexpr Real unit = Real(1) / 2147483648;
  typename Words<lanes>::whole k;
  std::memcpy(&k, &hash, sizeof k);
  const auto x = converted<Real, lanes>(k) * unit + unit / 2;
  // 1 - |x| from integers, since the difference would cancel in the tails.
  const auto far = (k ^ (k >> 31)) ^ 0x7FFFFFFF;
  const auto t = converted<Real, lanes>(far) * unit + unit / 2;
  const auto w = minus_log<lanes>(t * (Real(2) - t));
  auto factor = polynomial<Real, lanes>(w - Real(3), Quantile<Real>::central);
  if (__builtin_expect(any_above<Real, lanes>(w, Real(6)), 0)) {
    const auto place = (w - Real(11.25)) / (w + Real(10));
    const auto beyond = polynomial<Real, lanes>(place, Quantile<Real>::tail);
    factor = w > Real(6) ? beyond : factor;
  }
  return x * factor;
}

#if defined(__AVX512F__)
// The normal number |z| as a function of t = 1 - |x|, by a polynomial of degree 7 in the mantissa of
// t minus 1.5 for each of the 32 exponents: two registers hold one factor of all polynomials. It
// interpolates at Chebyshev's nodes, to absolute error 1e-7, in half the instructions of a logarithm.
struct Octaves {
  static constexpr int size = 8;
  alignas(64) float factors[size][32];

  Octaves() {
    constexpr double places[size] = {
        -0.98078528040323044913, -0.83146961230254523708, -0.55557023301960222474,
        -0.19509032201612826785, 0.19509032201612826785,  0.55557023301960222474,
        0.83146961230254523708,  0.98078528040323044913};
    for (int octave = 0; octave < 32; ++octave) {
      // Newton's divided differences, from which the factors of the powers follow.
      double places_here[size], values[size], powers[size] = {};
      for (int i = 0; i < size; ++i) {
        places_here[i] = places[i] / 2;
        values[i] = above((1.5 + places_here[i]) / double(1ull << (32 - octave)));
      }
      for (int order = 1; order < size; ++order)
        for (int i = size - 1; i >= order; --i)
          values[i] = (values[i] - values[i - 1]) / (places_here[i] - places_here[i - order]);
      for (int i = size - 1; i >= 0; --i) {
        for (int power = size - 1; power > 0; --power)
          powers[power] = powers[power - 1] - places_here[i] * powers[power];
        powers[0] = values[i] - places_here[i] * powers[0];
      }
      // The place is that of the last five bits of the biased exponent.
      for (int power = 0; power < size; ++power)
        factors[power][(octave + 95) & 31] = float(powers[power]);
    }
  }

  static double above(double t) {
    const double w = minus_log<1>(t * (2 - t));
    const double place = (w - 11.25) / (w + 10);
    return (1 - t) * (w > 6 ? polynomial<double, 1>(place, Quantile<double>::tail)
                            : polynomial<double, 1>(w - 3, Quantile<double>::central));
  }

  // Made at the first use, since a machine without these instructions loads the module, too.
  static const Octaves &made() {
    static const Octaves once;
    return once;
  }
};

// As normal_of.
INLINE __m512 normal_by_octaves(__m512i k, const Octaves &octaves) {
  constexpr int down = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
  const __m512i far = _mm512_xor_si512(_mm512_xor_si512(k, _mm512_srai_epi32(k, 31)),
                                       _mm512_set1_epi32(0x7FFFFFFF));
  // Rounded down, t stays below 1.
  const __m512 t = _mm512_fmadd_round_ps(_mm512_cvt_roundepi32_ps(far, down), _mm512_set1_ps(0x1p-31f),
                                         _mm512_set1_ps(0x1p-32f), down);
  const __m512i bits = _mm512_castps_si512(t), octave = _mm512_srli_epi32(bits, 23);
  const __m512i mantissa = _mm512_ternarylogic_epi32(bits, _mm512_set1_epi32(0x007FFFFF),
                                                     _mm512_set1_epi32(0x3F800000), 0xEA);
  const __m512 x = _mm512_sub_ps(_mm512_castsi512_ps(mantissa), _mm512_set1_ps(1.5f));
  const auto factor = [&](int power) __attribute__((always_inline)) {
    const float *from = octaves.factors[power];
    return _mm512_permutex2var_ps(_mm512_load_ps(from), octave, _mm512_load_ps(from + 16));
  };
  __m512 z = factor(Octaves::size - 1);
  for (int power = Octaves::size - 2; power >= 0; --power) z = _mm512_fmadd_ps(z, x, factor(power));
  // The sign is that of k.
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
      _mm512_castps_si512(z), k, _mm512_set1_epi32(int(0x80000000)), 0x78));
}
#endif

// Adds noise to the states of one neuron, of the samples from `first` on. It is a call: inlined into
// the loops over synapses it would take the registers of their sums.
template <class Real, int lanes, int count>
__attribute__((noinline)) void add_noise(typename Vector<Real, lanes>::type (&states)[count],
                                         uint64_t of_neuron, int64_t first, Real std) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Real) == 4 && lanes == 16) {
    const Octaves &octaves = Octaves::made();
    for (int v = 0; v < count; ++v) {
      const auto hash = hashes<lanes>(of_neuron, uint32_t(first + v * lanes));
      states[v] += std * (typename Vector<Real, lanes>::type)normal_by_octaves((__m512i)hash, octaves);
    }
    return;
  }
#endif
  for (int v = 0; v < count; ++v)
    states[v] += std * normal_of<Real, lanes>(hashes<lanes>(of_neuron, uint32_t(first + v * lanes)));
}

}  // namespace
}  // namespace sparsebrain
