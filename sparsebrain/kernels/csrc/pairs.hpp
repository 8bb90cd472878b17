// Rows of synapses in pairs: a neuron that both rows read is loaded once for both. Loads, and not
// arithmetic, limit a row of its own, which needs one for every multiply-add.
#pragma once

#include "index.hpp"
#include "kernels.hpp"
#include "vectors.hpp"

namespace sparsebrain {
namespace {

template <class Real>
struct Fused;  // columns.hpp

// What makes the gradient at f's argument of that at a state.
template <class Real>
struct Slope {
  Activation activation;
  Real *bias;    // sums over the batch, or null
  int64_t size;  // of a state: the one that the next loop reads lies so far before this one's
};

// What `Here`, which does all that is done with `width` columns, does with rows in pairs.
template <class Here, class Real, int width>
struct PairsOf {
  static constexpr int full = kBytes / int(sizeof(Real));
#if defined(__AVX512F__)
  // The sums of both rows and what they read take most of 32 registers; other sets have 16.
  static constexpr bool possible = width >= full && width <= 4 * full;
#else
  static constexpr bool possible = false;
#endif
  using V = typename Here::V;
  using Value = typename Here::Value;
  static constexpr int lanes = Here::lanes, count = Here::count;

  // Where the parts of a pair end: places of both rows in turn that share a neuron, places of both
  // in turn that do not, and what the longer row has left.
  struct Parts {
    explicit Parts(const RowPair *pair)
        : begin(pair->begin), shared(begin + 2 * pair->shared), end(pair[1].begin) {
      const int32_t second = end - shared - pair->first;
      first_is_longer = pair->first > second;
      turns = shared + 2 * (first_is_longer ? second : pair->first);
    }
    int32_t begin, shared, turns, end;
    bool first_is_longer;
  };

  static INLINE void add(Value (&total)[count], Real weight, const Real *from) {
    for (int v = 0; v < count; ++v) total[v] += weight * V::load(from + v * lanes);
  }

  // y = (1 - leak) x + leak f(W x + b + drive), as Columns::gather, with weights in the order of the
  // pairs. `rows` begin and end with a pair.
  static void gather(const Pairs &pairs, Range rows, const Real *weight, const Real *x, Real *y,
                     const Fused<Real> &fused) {
    for (int64_t row = rows.begin; row < rows.end; row += 2) {
      const Parts parts(pairs.pair + row / 2);
      Value one[count], two[count];
      for (int v = 0; v < count; ++v) one[v] = two[v] = V::all(0);
      int32_t at = parts.begin;
      for (; at < parts.shared; at += 2) {
        const Real *from = x + int64_t(pairs.neuron[at]) * width;
        for (int v = 0; v < count; ++v) {
          const Value value = V::load_once(from + v * lanes);
          one[v] += weight[at] * value;
          two[v] += weight[at + 1] * value;
        }
      }
      for (; at < parts.turns; at += 2) {
        add(one, weight[at], x + int64_t(pairs.neuron[at]) * width);
        add(two, weight[at + 1], x + int64_t(pairs.neuron[at + 1]) * width);
      }
      if (parts.first_is_longer)
        for (; at < parts.end; ++at) add(one, weight[at], x + int64_t(pairs.neuron[at]) * width);
      else
        for (; at < parts.end; ++at) add(two, weight[at], x + int64_t(pairs.neuron[at]) * width);
      Here::finish(one, row, x, y, width, fused);
      if (row + 1 < rows.end) Here::finish(two, row + 1, x, y, width, fused);
    }
  }

  // Sums over the lanes of leaf(at), leaf(at + 2) and so on, each the products of two places in turn.
  template <int many, class Leaf>
  static INLINE Value sums_of(const Leaf &leaf, int32_t at) {
    if constexpr (many == 2) {
      return leaf(at);
    } else {
      const Value one = sums_of<many / 2>(leaf, at), two = sums_of<many / 2>(leaf, at + many / 2);
      return add_neighbors<Real, lanes, many / 2>(one, two, std::make_integer_sequence<int, lanes>{});
    }
  }

  // out[at] += the sum of the products of each place from `at` to `end`.
  template <int many, class Leaf>
  static INLINE void add_products(int32_t at, int32_t end, const Leaf &leaf, Real *out) {
    using Some = Vector<Real, many>;
    for (; at + many <= end; at += many)
      Some::store(out + at, Some::load(out + at) + fold<Real, lanes, many>(sums_of<many>(leaf, at)));
    if constexpr (many > 2) add_products<many / 2>(at, end, leaf, out);
  }

  // One synapse on the way back: total += w grad, and the product of the states at its ends.
  static INLINE Value bring(const Value (&here)[count], Value (&total)[count], Real weight,
                            const Real *from) {
    Value product = V::all(0);
    for (int v = 0; v < count; ++v) {
      const Value brought = V::load_once(from + v * lanes);
      total[v] += weight * brought;
      product = v ? product + here[v] * brought : here[v] * brought;
    }
    return product;
  }

  // As Columns::ascend_as, with weights and products in the order of the pairs.
  static void ascend(const Pairs &pairs, Range rows, const Real *weight, const Real *grad,
                     const Real *before, const Real *rest, const Slope<Real> *slope, Real *next,
                     Real *products) {
    for (int64_t row = rows.begin; row < rows.end; row += 2) {
      const Parts parts(pairs.pair + row / 2);
      const bool both = row + 1 < rows.end;
      if (slope)
        for (int v = 0; v < 2 * width; v += kLine / int(sizeof(Real)))
          __builtin_prefetch(before + row * width + v - slope->size, 0, 2);
      Value here[count], there[count], one[count], two[count];
      for (int v = 0; v < count; ++v) {
        const int64_t at = row * width + v * lanes;
        here[v] = V::load(before + at);
        there[v] = both ? V::load(before + at + width) : V::all(0);
        one[v] = rest ? V::load(rest + at) : V::all(0);
        two[v] = rest && both ? V::load(rest + at + width) : V::all(0);
      }
      const auto turns = std::make_integer_sequence<int, lanes>{};
      const auto shared = [&](int32_t at) __attribute__((always_inline)) {
        const Real *from = grad + int64_t(pairs.neuron[at]) * width;
        Value first = V::all(0), second = V::all(0);
        for (int v = 0; v < count; ++v) {
          const Value brought = V::load_once(from + v * lanes);
          one[v] += weight[at] * brought;
          two[v] += weight[at + 1] * brought;
          first = v ? first + here[v] * brought : here[v] * brought;
          second = v ? second + there[v] * brought : there[v] * brought;
        }
        return add_neighbors<Real, lanes, 1>(first, second, turns);
      };
      const auto apart = [&](int32_t at) __attribute__((always_inline)) {
        const Value first = bring(here, one, weight[at], grad + int64_t(pairs.neuron[at]) * width);
        const Value second = bring(there, two, weight[at + 1], grad + int64_t(pairs.neuron[at + 1]) * width);
        return add_neighbors<Real, lanes, 1>(first, second, turns);
      };
      add_products<lanes>(parts.begin, parts.shared, shared, products);
      add_products<lanes>(parts.shared, parts.turns, apart, products);
      if (parts.first_is_longer)
        Here::template add_products<lanes>(parts.turns, parts.end, [&](int32_t at) __attribute__((always_inline)) {
          return bring(here, one, weight[at], grad + int64_t(pairs.neuron[at]) * width);
        }, products);
      else
        Here::template add_products<lanes>(parts.turns, parts.end, [&](int32_t at) __attribute__((always_inline)) {
          return bring(there, two, weight[at], grad + int64_t(pairs.neuron[at]) * width);
        }, products);
      Here::settle(one, here, row, slope, next);
      if (both) Here::settle(two, there, row + 1, slope, next);
    }
  }
};

}  // namespace
}  // namespace sparsebrain
