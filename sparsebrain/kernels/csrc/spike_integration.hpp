// The integration of all neurons of a thread over a few steps.
#pragma once

#include "spike_state.hpp"

namespace sparsebrain {
namespace {

template <class Real>
struct Integration {
  using V = Wide<Real>;
  using Value = typename V::real;
  using Mask = typename V::whole;
  static constexpr int lanes = V::lanes;
  static constexpr int kVectors = int(kGroup) / lanes;
  static constexpr int64_t kAheadGroups = 2;

  const Simulation &s;
  Worker<Real> &w;

  Real constant(const void *values, int which, int64_t i) const {
    return s.neurons.uniform ? *static_cast<const Real *>(values) : w.constants[which * w.padded + i];
  }
  Real threshold(int64_t i) const { return constant(s.neurons.threshold, 4, i); }
  Real reset(int64_t i) const { return constant(s.neurons.reset, 5, i); }

  // Coefficients as the loops read them.
  template <bool uniform>
  struct Constants {
    Value decay, drive, transfer, synapse_decay, limit;
    const Real *of_neurons;
    int64_t padded;

    explicit Constants(const Integration &r)
        : decay(one(r.s.neurons.decay)),
          drive(one(r.s.neurons.drive)),
          transfer(one(r.s.neurons.transfer)),
          synapse_decay(one(r.s.neurons.synapse_decay)),
          limit(one(r.s.neurons.threshold)),
          of_neurons(r.w.constants.get()),
          padded(r.w.padded) {}

    static Value one(const void *value) {
      return uniform && value ? V::all(*static_cast<const Real *>(value)) : Value{};
    }
    INLINE Value at(Value shared, int which, int64_t i) const {
      return uniform ? shared : V::load(of_neurons + which * padded + i);
    }
  };

  // u <- a u + (k g + c I), and g <- b g. Returns the lanes that are above the threshold.
  template <Synapse synapse, bool uniform>
  static INLINE Mask advance(const Constants<uniform> &c, int64_t at, Value &u, Value &g) {
    Value next = c.at(c.decay, 0, at) * u;
    if (synapse == Synapse::voltage) {
      next = next + c.at(c.drive, 1, at);
    } else {
      next = next + (c.at(c.transfer, 2, at) * g + c.at(c.drive, 1, at));
      g = c.at(c.synapse_decay, 3, at) * g;
    }
    u = next;
    return next > c.at(c.limit, 4, at);
  }

  // A choice without a branch, which would often be mispredicted.
  static INLINE Real *either(uintptr_t first, Real *a, Real *b) {
    const uintptr_t x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
    return reinterpret_cast<Real *>(y ^ ((x ^ y) & (uintptr_t(0) - first)));
  }

  // The steps of a group from n on, in registers, up to `end` or until a neuron is above its
  // threshold. Returns whether one is; n is then its step, and else `end`. `touched` where something
  // arrived, at the steps of the bits of `marks`; `jumped` where input arrived, at those of `inputs`;
  // `cautious` where a neuron is refractory, or was when it arrived.
  template <Synapse synapse, bool uniform, bool touched, bool jumped, bool cautious>
  INLINE bool run(const Constants<uniform> &c, int64_t group, int64_t &n, int64_t end,
                  uint32_t marks, uint32_t inputs, int64_t row) const {
    using Whole = typename Worker<Real>::Whole;
    constexpr bool current = synapse != Synapse::voltage;
    constexpr bool held = synapse != Synapse::current_free;
    const int64_t begin = group * kGroup, padded = w.padded, rows = w.rows;
    Real *const us = w.u.get() + begin, *const gs = w.g.get() + begin;
    Real *const arriving = w.arriving.get() + begin, *const jumps = w.jumps.get() + begin;
    // What arrives in other steps, so that no branch depends on it.
    alignas(kLine) Real nothing[kGroup] = {};
    Value u[kVectors], g[kVectors] = {};
    Mask until[kVectors] = {};
    for (int v = 0; v < kVectors; ++v) {
      u[v] = V::load(us + v * lanes);
      if (current) g[v] = V::load(gs + v * lanes);
      if (cautious) until[v] = V::load(w.until.get() + begin + v * lanes);
    }
    bool spikes = false;
    int64_t step = n;
    for (; step < end; ++step, row = row + 1 < rows ? row + 1 : 0, marks >>= 1, inputs >>= 1) {
      Real *const more = touched ? either(marks & 1, arriving + row * padded, nothing) : nothing;
      Real *const input = jumped ? either(inputs & 1, jumps + row * padded, nothing) : nothing;
      Mask above{};
      for (int v = 0; v < kVectors; ++v) {
        Mask was{}, is{};
        if (cautious) {
          was = until[v] > Whole(step - 1);
          is = until[v] > Whole(step);
        }
        if (jumped) {
          const Value added = u[v] + V::load(input + v * lanes);
          u[v] = was ? u[v] : added;
          V::store(input + v * lanes, Value{});
        }
        if (touched) {
          Value &to = current ? g[v] : u[v];
          const Value added = to + V::load(more + v * lanes);
          to = cautious && held ? (was ? to : added) : added;
          V::store(more + v * lanes, Value{});
        }
        Value next = u[v], decayed = g[v];
        Mask over = advance<synapse, uniform>(c, begin + v * lanes, next, decayed);
        if (cautious) {
          over &= ~is;
          next = is ? u[v] : next;
          if (held) decayed = is ? g[v] : decayed;
        }
        u[v] = next;
        g[v] = decayed;
        above |= over;
      }
      spikes = V::any(above);
      if (spikes) break;
    }
    for (int v = 0; v < kVectors; ++v) {
      V::store(us + v * lanes, u[v]);
      if (current) V::store(gs + v * lanes, g[v]);
    }
    n = step;
    return spikes;
  }

  void spike(int64_t group, int64_t n, List &now) const {
    const int64_t end = (group + 1) * kGroup;
    for (int64_t i = group * kGroup; i < end; ++i) {
      if (!(w.u[i] > threshold(i)) || w.until[i] > n) continue;
      if (s.neurons.silent && s.neurons.silent[w.low + i]) continue;
      if (!now.add(int32_t(w.low + i))) w.no_memory = true;
      w.u[i] = reset(i);
      if (s.neurons.synapse == Synapse::current_held) w.g[i] = 0;
      const int32_t steps = s.neurons.refractory[s.neurons.uniform ? 0 : w.low + i];
      w.until[i] = n + (steps > 1 ? steps : 1);
      if (w.busy[group] < w.until[i]) w.busy[group] = int32_t(w.until[i]);
    }
  }

  // Collects the marks of all groups: bit k for what is read in step first + k.
  void collect(int64_t first, int64_t end) const {
    std::memset(w.marks.get(), 0, sizeof(uint32_t) * w.groups);
    std::memset(w.inputs.get(), 0, sizeof(uint32_t) * w.groups);
    int64_t row = w.row_before(first);
    for (int64_t n = first; n < end; ++n, row = row + 1 < w.rows ? row + 1 : 0) {
      uint8_t *const touched = w.touched.get() + row * w.groups;
      uint8_t *const jumped = w.jumped.get() + row * w.groups;
      uint32_t *const marks = w.marks.get();
      uint32_t *const inputs = w.inputs.get();
      for (int64_t group = 0; group < w.groups; ++group) {
        marks[group] |= uint32_t(touched[group]) << (n - first);
        inputs[group] |= uint32_t(jumped[group]) << (n - first);
      }
      std::memset(touched, 0, w.groups);
      std::memset(jumped, 0, w.groups);
    }
  }

  // What arrives at a group lies in rows far apart, which the hardware does not prefetch.
  void foresee(int64_t group, int64_t before) const {
    const int64_t begin = group * kGroup;
    for (uint32_t marks = w.marks[group]; marks; marks &= marks - 1)
      foresee(w.arriving.get() + begin, before, __builtin_ctz(marks));
    for (uint32_t inputs = w.inputs[group]; inputs; inputs &= inputs - 1)
      foresee(w.jumps.get() + begin, before, __builtin_ctz(inputs));
  }

  void foresee(const Real *values, int64_t before, int64_t steps) const {
    const int64_t row = before + steps < w.rows ? before + steps : before + steps - w.rows;
    for (int64_t i = 0; i < kGroup; i += kLine / int64_t(sizeof(Real)))
      __builtin_prefetch(values + row * w.padded + i, 1);
  }

  template <Synapse synapse, bool uniform>
  void integrate_all(int64_t first, int64_t end) const {
    const Constants<uniform> c(*this);
    collect(first, end);
    const int64_t before = w.row_before(first);
    for (int64_t group = 0; group < w.groups; ++group) {
      if (group + kAheadGroups < w.groups) foresee(group + kAheadGroups, before);
      for (int64_t n = first; n < end; ++n) {
        const uint32_t marks = w.marks[group] >> (n - first), inputs = w.inputs[group] >> (n - first);
        int64_t row = before + n - first;
        row = row < w.rows ? row : row - w.rows;
        bool above;
        if (inputs)
          above = run<synapse, uniform, true, true, true>(c, group, n, end, marks, inputs, row);
        else if (w.busy[group] > n - 1)
          above = run<synapse, uniform, true, false, true>(c, group, n, end, marks, 0, row);
        else if (marks)
          above = run<synapse, uniform, true, false, false>(c, group, n, end, marks, 0, row);
        else
          above = run<synapse, uniform, false, false, false>(c, group, n, end, 0, 0, row);
        if (above) spike(group, n, w.now[n - first]);
      }
    }
  }

  template <Synapse synapse>
  void integrate_as(int64_t first, int64_t end) const {
    s.neurons.uniform ? integrate_all<synapse, true>(first, end)
                      : integrate_all<synapse, false>(first, end);
  }

  // Steps [first, end), at most kSpan of them, at which everything that arrives is known.
  void integrate_span(int64_t first, int64_t end, Window &window) const {
    switch (s.neurons.synapse) {
      case Synapse::voltage: integrate_as<Synapse::voltage>(first, end); break;
      case Synapse::current_held: integrate_as<Synapse::current_held>(first, end); break;
      case Synapse::current_free: integrate_as<Synapse::current_free>(first, end); break;
    }
    bool room = true;
    for (int64_t n = first; n < end; ++n) {
      List &now = w.now[n - first];
      for (int64_t k = 0; k < now.size(); ++k)
        room &= window.neuron.add(now.get()[k]) && w.step.add(int32_t(n)) &&
                w.neuron.add(now.get()[k]);
      room &= window.end.add(int32_t(window.neuron.size()));
      now.clear();
    }
    if (!room) w.no_memory = true;
  }
};

}  // namespace
}  // namespace sparsebrain
