// Error diffusion on layers: the batch, the errors and every synapse's gradient, a tile at a time.
#pragma once

#include "columns.hpp"

namespace sparsebrain {
namespace {

// What the threads of one call share. `states` holds the rows of all layers, inputs first, for one
// tile; `errors` those of each network.
template <class Real>
struct Board {
  const Diffusion &d;
  Real *states, *errors;
  double loss;
  bool refused;

  void refuse() { __atomic_store_n(&refused, true, __ATOMIC_RELAXED); }
};

inline Range share_of(int64_t rows, int self, int team) {
  return {rows * self / team, rows * (self + 1) / team};
}

// A number that a lambda is given at compile time.
template <int value>
struct Fixed {
  constexpr int operator()() const { return value; }
};

template <class Real, int width>
struct Diffuse {
  using Of = Columns<Real, int32_t, width>;
  using V = typename Of::V;
  using Value = typename Of::Value;
  static constexpr int lanes = Of::lanes, count = Of::count;
  // So many rows read each state of a source together, where they have all the same sources.
  static constexpr int together = 4;

  Board<Real> &board;
  const Diffusion &d;
  int64_t begin;
  int self, team;

  Real *strength() const { return static_cast<Real *>(d.strength); }

  // The places of a target's strengths among those of its sort.
  Range places(const Wires &wires, int64_t row) const {
    if (wires.pointer < 0) return {row * wires.width, (row + 1) * wires.width};
    return {d.index[wires.pointer + row], d.index[wires.pointer + row + 1]};
  }

  // Where the state of a target's network begins in the layer before, and its own row in its layer.
  static int64_t base(const Layer &layer, int64_t row) {
    return layer.shared ? 0 : row / layer.targets * layer.height;
  }
  static int64_t row_of(const Layer &layer, int64_t row) {
    return row + layer.bias * (2 * (row / layer.targets) + 1);
  }

  int64_t state_rows(const Layer &layer) const {
    return d.networks * (layer.targets + 2 * layer.bias);
  }

  // Features become rows: squares of the batch are turned in registers.
  void pack() const {
    const Real *from = static_cast<const Real *>(d.x) + begin * d.features;
    Real *to = board.states + d.bias * width;
    if (d.bias && !self)
      for (int v = 0; v < count; ++v) V::store(board.states + v * lanes, V::all(Real(d.bias_value)));
    Range squares = share_of((d.features + lanes - 1) / lanes, self, team);
    Value bad = V::all(0);
    for (int64_t square = squares.begin; square < squares.end; ++square) {
      const int64_t first = square * lanes;
      if (first + lanes <= d.features) {
        for (int v = 0; v < count; ++v) {
          Value block[lanes];
          for (int i = 0; i < lanes; ++i) {
            block[i] = V::load(from + (v * lanes + i) * d.features + first);
            bad = block[i] >= Real(0) ? bad : V::all(1);
          }
          transpose<Real, lanes>(block);
          for (int i = 0; i < lanes; ++i) V::store(to + (first + i) * width + v * lanes, block[i]);
        }
      } else {
        for (int64_t feature = first; feature < d.features; ++feature)
          for (int column = 0; column < width; ++column) {
            const Real value = from[column * d.features + feature];
            if (!(value >= Real(0))) board.refuse();
            to[feature * width + column] = value;
          }
      }
    }
    if (sum<Real, lanes>(bad) > Real(0)) board.refuse();
  }

  // Strengths below zero come back.
  void fold(const Wires &wires, int64_t row) const {
    const Range here = places(wires, row);
    Real *w = strength() + wires.first;
    for (int64_t at = here.begin; at < here.end; ++at) w[at] = w[at] < 0 ? -w[at] : w[at] + Real(0);
  }

  // total += what arrives along one sort of synapses at `rows` targets from `row` on.
  template <int rows>
  void gather(const Layer &layer, const Wires &wires, const Real *state, int64_t row,
              Value (&total)[rows][count]) const {
    const Real *w = strength() + wires.first;
    if (wires.pointer < 0) {
      const Real *from = state + (base(layer, row) + wires.low) * width;
      w += row * wires.width;
      for (int64_t j = 0; j < wires.width; ++j)
        for (int r = 0; r < rows; ++r)
          for (int v = 0; v < count; ++v)
            total[r][v] += w[r * wires.width + j] * V::load(from + j * width + v * lanes);
    } else {
      const Range here = places(wires, row);
      const int32_t *neuron = d.index + wires.neuron;
      for (int64_t at = here.begin; at < here.end; ++at)
        for (int v = 0; v < count; ++v)
          total[0][v] += w[at] * V::load(state + int64_t(neuron[at]) * width + v * lanes);
    }
  }

  // The same of pairs, whose cells have one value.
  template <int rows>
  void gather_pairs(const Layer &layer, const Real *state, int64_t row,
                    Value (&total)[rows][count]) const {
    const int64_t wide = layer.plus.width;
    const Real *plus = strength() + layer.plus.first + row * wide;
    const Real *minus = strength() + layer.minus.first + row * wide;
    const Real *from = state + layer.plus.low * width;
    for (int64_t j = 0; j < wide; ++j)
      for (int r = 0; r < rows; ++r) {
        const Real w = plus[r * wide + j] - minus[r * wide + j];
        for (int v = 0; v < count; ++v) total[r][v] += w * V::load(from + j * width + v * lanes);
      }
  }

  template <int rows>
  void fire(const Layer &layer, const Real *state, Real *next, int64_t row) const {
    Value total[rows][count];
    for (auto &each : total)
      for (auto &value : each) value = V::all(0);
    const Wires &plus = layer.plus, &minus = layer.minus;
    if (d.fold && !begin)
      for (int r = 0; r < rows; ++r) fold(plus, row + r), fold(minus, row + r);
    if (layer.shared && plus.pointer < 0 && minus.pointer < 0 && plus.low == minus.low &&
        plus.width == minus.width) {
      gather_pairs<rows>(layer, state, row, total);
    } else {
      gather<rows>(layer, minus, state, row, total);
      for (auto &each : total)
        for (auto &value : each) value = -value;
      gather<rows>(layer, plus, state, row, total);
    }
    for (int r = 0; r < rows; ++r) {
      const int64_t cell = (row + r) % layer.targets;
      if (!(d.linear && cell == layer.read)) {
        const Real slope = Real(cell < layer.positive ? d.slope : -d.slope);
        for (auto &value : total[r]) value *= slope;
        activate<Real, lanes, count>(total[r], Activation::sigmoid);
      }
      Real *to = next + row_of(layer, row + r) * width;
      for (int v = 0; v < count; ++v) V::store(to + v * lanes, total[r][v]);
    }
  }

  void forward(const Layer &layer, const Real *state, Real *next) const {
    const Range rows = share_of(d.networks * layer.targets, self, team);
    const bool full = layer.plus.pointer < 0 && layer.minus.pointer < 0;
    for (int64_t row = rows.begin; row < rows.end;) {
      if (full && row + together <= rows.end && row % layer.targets + together <= layer.targets) {
        fire<together>(layer, state, next, row);
        row += together;
      } else {
        fire<1>(layer, state, next, row++);
      }
    }
    if (!layer.bias || self) return;
    const int64_t height = layer.targets + 2;
    for (int64_t network = 0; network < d.networks; ++network)
      for (const int64_t row : {network * height, (network + 1) * height - 1})
        for (int v = 0; v < count; ++v)
          V::store(next + row * width + v * lanes, V::all(Real(d.bias_value)));
  }

  // What is wanted minus what came, and the loss; `scores` are `height` rows apart.
  void compare(const Real *scores, int64_t height) {
    const int64_t classes = d.networks < 2 ? 2 : d.networks;
    Real wanted[width];
    for (int column = 0; column < width; ++column) {
      const int64_t label = d.y[begin + column];
      if (label < 0 || label >= classes) board.refuse();
    }
    Value shift[count] = {}, total[count] = {};
    if (d.entropy) normalize(scores, height, shift, total);
    const Real scale = d.mean ? Real(1) / Real(d.batch) : Real(1);
    for (int64_t network = 0; network < d.networks; ++network) {
      for (int column = 0; column < width; ++column)
        wanted[column] = d.y[begin + column] == (d.networks < 2 ? 1 : network);
      for (int v = 0; v < count; ++v) {
        const Value target = V::load(wanted + v * lanes);
        Value score = V::load(scores + network * height * width + v * lanes);
        if (d.entropy) score = exponential<Real, lanes>(score - shift[v]) / total[v];
        const Value error = target - score;
        if (!d.entropy) board.loss += 0.5 * double(sum<Real, lanes>(error * error));
        V::store(board.errors + network * width + v * lanes, error * scale);
      }
    }
    if (!d.entropy) return;
    Real shifts[width], totals[width];
    for (int v = 0; v < count; ++v) {
      V::store(shifts + v * lanes, shift[v]);
      V::store(totals + v * lanes, total[v]);
    }
    for (int column = 0; column < width; ++column) {
      const int64_t label = d.y[begin + column];
      if (label < 0 || label >= classes) continue;
      board.loss += double(shifts[column]) - double(scores[label * height * width + column]) +
                    __builtin_log(double(totals[column]));
    }
  }

  void normalize(const Real *scores, int64_t height, Value (&shift)[count],
                 Value (&total)[count]) const {
    for (int v = 0; v < count; ++v) {
      shift[v] = V::load(scores + v * lanes);
      total[v] = V::all(0);
    }
    for (int64_t network = 1; network < d.networks; ++network)
      for (int v = 0; v < count; ++v) {
        const Value score = V::load(scores + network * height * width + v * lanes);
        shift[v] = score > shift[v] ? score : shift[v];
      }
    for (int64_t network = 0; network < d.networks; ++network)
      for (int v = 0; v < count; ++v)
        total[v] += exponential<Real, lanes>(
            V::load(scores + network * height * width + v * lanes) - shift[v]);
  }

  // The gradients of all synapses of one sort at a target.
  void correlate(const Layer &layer, const Wires &wires, const Real *state, int64_t row,
                 const Value (&post)[count]) const {
    const Range here = places(wires, row);
    Real *out = static_cast<Real *>(d.grad) + wires.first;
    if (!begin) std::memset(out + here.begin, 0, sizeof(Real) * (here.end - here.begin));
    const auto product_with = [&](const Real *from) __attribute__((always_inline)) {
      Value total = post[0] * V::load(from);
      for (int v = 1; v < count; ++v) total += post[v] * V::load(from + v * lanes);
      return total;
    };
    if (wires.pointer < 0) {
      const Real *first = state + (base(layer, row) + wires.low) * width;
      Of::template add_products<lanes>(
          int64_t(0), wires.width,
          [&](int64_t at) __attribute__((always_inline)) { return product_with(first + at * width); },
          out + here.begin);
    } else {
      const int32_t *neuron = d.index + wires.neuron;
      Of::template add_products<lanes>(
          here.begin, here.end,
          [&](int64_t at) __attribute__((always_inline)) {
            return product_with(state + int64_t(neuron[at]) * width);
          },
          out);
    }
  }

  // Minus the update: + sources hear the positive part of the error, - sources the negative one.
  void backward(const Layer &layer, const Real *state, const Real *next) const {
    const Range rows = share_of(d.networks * layer.targets, self, team);
    for (int64_t row = rows.begin; row < rows.end;) {
      const bool several = row + together <= rows.end && row % layer.targets + together <= layer.targets;
      if (several)
        teach<together>(layer, state, next, row);
      else
        teach<1>(layer, state, next, row);
      row += several ? together : 1;
    }
  }

  template <int rows>
  void teach(const Layer &layer, const Real *state, const Real *next, int64_t row) const {
    Value plus[rows][count], minus[rows][count];
    const Real *errors = board.errors + row / layer.targets * width;
    for (int r = 0; r < rows; ++r) {
      const Real *after = next + row_of(layer, row + r) * width;
      const bool linear = d.linear && (row + r) % layer.targets == layer.read;
      for (int v = 0; v < count; ++v) {
        const Value o = V::load(after + v * lanes), error = V::load(errors + v * lanes);
        const Value slope = linear ? V::all(1) : o - o * o;
        plus[r][v] = slope * (error < Real(0) ? V::all(0) : -error);
        minus[r][v] = slope * (error > Real(0) ? V::all(0) : error);
      }
    }
    for (const bool positive : {true, false}) {
      const Wires &wires = positive ? layer.plus : layer.minus;
      const auto &post = positive ? plus : minus;
      if (layer.shared && wires.pointer < 0)
        multiply<rows>(wires, row, post, errors, positive);
      else
        for (int r = 0; r < rows; ++r) correlate(layer, wires, state, row + r, post[r]);
    }
  }

  // The gradients of all inputs' synapses at some targets, sample by sample as inputs lie in
  // memory, without those whose error has the other sign: these send nothing.
  template <int rows>
  void multiply(const Wires &wires, int64_t row, const Value (&post)[rows][count],
                const Real *errors, bool positive) const {
    Real sent[rows][width], total[rows] = {};
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < count; ++v) V::store(sent[r] + v * lanes, post[r][v]);
    int samples[width], number = 0;
    for (int column = 0; column < width; ++column)
      if (positive ? !(errors[column] <= Real(0)) : !(errors[column] >= Real(0))) {
        samples[number++] = column;
        for (int r = 0; r < rows; ++r) total[r] += sent[r][column];
      }
    const Real *x = static_cast<const Real *>(d.x) + begin * d.features + wires.low - d.bias;
    Real *out = static_cast<Real *>(d.grad) + wires.first + row * wires.width;
    int64_t at = 0;
    if (wires.low < d.bias && wires.width) {
      for (int r = 0; r < rows; ++r) {
        Real &bias = out[r * wires.width];
        bias = (begin ? bias : Real(0)) + Real(d.bias_value) * total[r];
      }
      ++at;
    }
    constexpr int most = kBytes / int(sizeof(Real));
    const auto block = [&](auto vectors, auto wide) __attribute__((always_inline)) {
      using Wide = Vector<Real, wide()>;
      for (; at + vectors() * wide() <= wires.width; at += vectors() * wide()) {
        typename Wide::type sum[rows][vectors()];
        for (int r = 0; r < rows; ++r)
          for (int v = 0; v < vectors(); ++v)
            sum[r][v] = begin ? Wide::load(out + r * wires.width + at + v * wide()) : Wide::all(0);
        for (int n = 0; n < number; ++n) {
          const Real *from = x + samples[n] * d.features + at;
          for (int r = 0; r < rows; ++r)
            for (int v = 0; v < vectors(); ++v)
              sum[r][v] += sent[r][samples[n]] * Wide::load(from + v * wide());
        }
        for (int r = 0; r < rows; ++r)
          for (int v = 0; v < vectors(); ++v)
            Wide::store(out + r * wires.width + at + v * wide(), sum[r][v]);
      }
    };
    block(Fixed<4>{}, Fixed<most>{});
    block(Fixed<1>{}, Fixed<most>{});
    block(Fixed<1>{}, Fixed<1>{});
  }

  void run() {
    pack();
    barrier();
    Real *state = board.states, *scores = nullptr;
    Real *next = state + (d.features + d.bias) * width;
    int64_t height = 0;
    for (int64_t number = 0; number < d.depth; ++number) {
      const Layer &layer = d.layers[number];
      forward(layer, state, next);
      barrier();
      if (layer.read >= 0) {
        scores = next + row_of(layer, layer.read) * width;
        height = layer.targets + 2 * layer.bias;
      }
      state = next;
      next += state_rows(layer) * width;
    }
    if (!self) compare(scores, height);
    barrier();
    state = board.states;
    next = state + (d.features + d.bias) * width;
    for (int64_t number = 0; number < d.depth; ++number) {
      backward(d.layers[number], state, next);
      state = next;
      next += state_rows(d.layers[number]) * width;
    }
    barrier();
  }
};

}  // namespace
}  // namespace sparsebrain
