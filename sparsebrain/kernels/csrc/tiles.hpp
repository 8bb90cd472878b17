// What is done with a tile whatever its synapses are: `width` columns of the batch, which lie side by
// side, row after row.
#pragma once

#include "activations.hpp"
#include "index.hpp"
#include "kernels.hpp"
#include "noise.hpp"
#include "vectors.hpp"

namespace sparsebrain {
namespace {

// Compiled once and not into each of its callers, which are many.
#define OUTLINED __attribute__((noinline))

template <class Real, int width>
struct TileOf {
  static constexpr int lanes =
      width < kBytes / int(sizeof(Real)) ? width : kBytes / int(sizeof(Real));
  static constexpr int count = width / lanes;
  using V = Vector<Real, lanes>;
  using Value = typename V::type;

  // rates = f(x) for one row. It is a call, because inlined into the loops over synapses it would take
  // the registers of their sums.
  static OUTLINED void fire(const Real *x, Real *rates, Activation activation) {
    Value value[count];
    for (int v = 0; v < count; ++v) value[v] = V::load(x + v * lanes);
    activate<Real, lanes, count>(value, activation);
    for (int v = 0; v < count; ++v) V::store(rates + v * lanes, value[v]);
  }

  static void fire_rows(const Real *x, Range rows, Real *rates, Activation activation) {
    for (int64_t row = rows.begin; row < rows.end; ++row)
      fire(x + row * width, rates + row * width, activation);
  }

  // grad = f'(before) grad + rest for some rows: from the rates of a voltage back to the state.
  static OUTLINED void chain(Range rows, Activation activation, const Real *before, const Real *rates,
                    const Real *rest, Real *grad) {
    const Real *known = of_argument(activation) ? before : rates;
    for (int64_t at = rows.begin * width; at < rows.end * width; at += lanes) {
      const Value local =
          differentiate<Real, lanes>(V::load(grad + at), V::load(known + at), activation);
      V::store(grad + at, rest ? local + V::load(rest + at) : local);
    }
  }

  // Writes the noise of one loop.
  static OUTLINED void draw(const Noise &noise, int64_t begin, Range rows, Real *to) {
    const uint64_t of_loop = key_of_step(noise.key, noise.first);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value drawn[count];
      for (int v = 0; v < count; ++v) drawn[v] = V::all(0);
      add_noise<Real, lanes, count>(drawn, key_of_neuron(of_loop, row), begin, Real(noise.std));
      for (int v = 0; v < count; ++v) V::store(to + row * width + v * lanes, drawn[v]);
    }
  }

  // So many neurons at a time, so that either end of a transpose stays in the nearest cache.
  static constexpr int64_t kBlock = lanes > 1 ? lanes : 16;

  // Writes columns of the caller's states into a tile, or adds them.
  template <bool add>
  static OUTLINED void pack(const View &view, int64_t begin, Range rows, Real *to) {
    const Real *from = static_cast<const Real *>(view.data) + begin * view.sample;
    if (view.neuron == 1) rows.begin = turn<add, true>(from, view.sample, rows, to);
    for (int64_t first = rows.begin; first < rows.end; first += kBlock) {
      const int64_t end = first + kBlock < rows.end ? first + kBlock : rows.end;
      if (view.sample == 1) {
        for (int64_t row = first; row < end; ++row)
          for (int v = 0; v < count; ++v) {
            Real *there = to + row * width + v * lanes;
            const Value value = V::load(from + row * view.neuron + v * lanes);
            V::store(there, add ? V::load(there) + value : value);
          }
      } else {
        for (int column = 0; column < width; ++column)
          for (int64_t row = first; row < end; ++row) {
            const Real value = from[row * view.neuron + column * view.sample];
            Real &there = to[row * width + column];
            there = add ? there + value : value;
          }
      }
    }
  }

  // Writes rows of a tile into the caller's states.
  static OUTLINED void unpack(const Real *from, Range rows, int64_t begin, const View &view) {
    Real *to = static_cast<Real *>(view.data) + begin * view.sample;
    if (view.neuron == 1) rows.begin = turn<false, false>(from, view.sample, rows, to);
    for (int64_t first = rows.begin; first < rows.end; first += kBlock) {
      const int64_t end = first + kBlock < rows.end ? first + kBlock : rows.end;
      if (view.sample == 1) {
        for (int64_t row = first; row < end; ++row)
          std::memcpy(to + row * view.neuron, from + row * width, sizeof(Real) * width);
      } else {
        for (int column = 0; column < width; ++column)
          for (int64_t row = first; row < end; ++row)
            to[row * view.neuron + column * view.sample] = from[row * width + column];
      }
    }
  }

  // Transposes square blocks between columns whose neurons lie side by side and rows of columns, in
  // either direction, as far as whole blocks reach; returns the row that comes next.
  template <bool add, bool into_rows>
  static OUTLINED int64_t turn(const Real *from, int64_t sample, Range rows, Real *to) {
    int64_t row = rows.begin;
    for (; row + lanes <= rows.end; row += lanes)
      for (int v = 0; v < count; ++v) {
        Value square[lanes];
        for (int i = 0; i < lanes; ++i)
          square[i] = V::load(from + (into_rows ? row + (v * lanes + i) * sample
                                                : (row + i) * width + v * lanes));
        transpose<Real, lanes>(square);
        for (int i = 0; i < lanes; ++i) {
          Real *there = to + (into_rows ? (row + i) * width + v * lanes
                                        : row + (v * lanes + i) * sample);
          V::store(there, add ? V::load(there) + square[i] : square[i]);
        }
      }
    return row;
  }

  static void clear(Real *values, Range rows) {
    std::memset(values + rows.begin * width, 0, sizeof(Real) * width * (rows.end - rows.begin));
  }
};

}  // namespace
}  // namespace sparsebrain
