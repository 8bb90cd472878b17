// How states lie in memory between the loops: as they are computed, or rounded to bfloat16.
#pragma once

#include "vectors.hpp"

namespace sparsebrain {
namespace {

// The upper half of a float.
struct Bfloat16 {
  uint16_t bits;
};

// Rows of `count` vectors. Loads widen, stores round.
template <class Real, class Stored, int lanes, int count>
struct Kept {
  using V = Vector<Real, lanes>;
  using Value = typename V::type;
  static INLINE Value load(const Real *row, int v) { return V::load(row + v * lanes); }
  static INLINE Value load_once(const Real *row, int v) { return V::load_once(row + v * lanes); }
  static INLINE Value rounded(Value value) { return value; }
  static INLINE void store(Real *row, const Value (&values)[count]) {
    for (int v = 0; v < count; ++v) V::store(row + v * lanes, values[v]);
  }
};

// Two vectors lie interleaved, lane by lane, so that each is one instruction away: the lower halves
// of 32 bits are shifted up, the upper halves are what remains without them.
template <int lanes, int count>
struct Kept<float, Bfloat16, lanes, count> {
  using V = Vector<float, lanes>;
  using Value = typename V::type;
  using Whole = typename V::mask;
  static constexpr bool paired = count % 2 == 0;
  static constexpr uint32_t kUpper = 0xFFFF0000u;

  static INLINE Value load(const Bfloat16 *row, int v) {
    if constexpr (paired) {
      Whole both;
      std::memcpy(&both, row + (v & ~1) * lanes, sizeof both);
      return V::value(v & 1 ? both & kUpper : both << 16);
    } else {
      return V::value(widen(row + v * lanes) << 16);
    }
  }

  static INLINE Value load_once(const Bfloat16 *row, int v) { return load(row, v); }

  // To the nearest, of two equally near ones to the even one; NaN stays NaN.
  static INLINE Value rounded(Value value) {
    const Whole bits = V::bits(value);
    const Whole nearest = (bits + 0x7FFFu + ((bits >> 16) & 1u)) & kUpper;
    const Whole quiet = (bits | 0x00400000u) & kUpper;
    return V::value((bits & 0x7FFFFFFFu) > Whole{} + 0x7F800000u ? quiet : nearest);
  }

  static INLINE void store(Bfloat16 *row, const Value (&values)[count]) {
    if constexpr (paired) {
      for (int v = 0; v < count; v += 2) {
        const Whole both = (V::bits(rounded(values[v])) >> 16) | V::bits(rounded(values[v + 1]));
        std::memcpy(row + v * lanes, &both, sizeof both);
      }
    } else {
      for (int v = 0; v < count; ++v)
        narrow(row + v * lanes, V::bits(rounded(values[v])) >> 16);
    }
  }

 private:
  static INLINE Whole widen(const Bfloat16 *from) {
    if constexpr (lanes == 1) {
      return from->bits;
    } else {
      typedef uint16_t Halves __attribute__((vector_size(lanes * sizeof(uint16_t))));
      Halves halves;
      std::memcpy(&halves, from, sizeof halves);
      return __builtin_convertvector(halves, Whole);
    }
  }

  static INLINE void narrow(Bfloat16 *to, Whole lower) {
    if constexpr (lanes == 1) {
      to->bits = uint16_t(lower);
    } else {
      typedef uint16_t Halves __attribute__((vector_size(lanes * sizeof(uint16_t))));
      const Halves halves = __builtin_convertvector(lower, Halves);
      std::memcpy(to, &halves, sizeof halves);
    }
  }
};

}  // namespace
}  // namespace sparsebrain
