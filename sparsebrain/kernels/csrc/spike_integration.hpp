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

  // One step of a group: what arrived in the step before, the integration, and whether a neuron is
  // above its threshold. `cautious` where one is refractory, or was when it arrived.
  template <Synapse synapse, bool uniform, bool touched, bool jumped, bool cautious>
  INLINE bool integrate(const Constants<uniform> &c, int64_t group,
                        typename Worker<Real>::Whole n, Real *arriving, Real *jumps) const {
    constexpr bool current = synapse != Synapse::voltage;
    constexpr bool held = synapse != Synapse::current_free;
    // Stores could change what lies behind a pointer, but no local value.
    Real *const us = w.u.get(), *const gs = w.g.get();
    const typename Worker<Real>::Whole *const untils = w.until.get();
    const int64_t begin = group * kGroup;
    Mask above{};
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = begin + v * lanes;
      Value u = V::load(us + at), g{};
      Mask was{}, is{};
      if (cautious) {
        const Mask until = V::load(untils + at);
        was = until > n - 1;
        is = until > n;
      }
      if (current) g = V::load(gs + at);
      if (jumped) {
        const Value more = V::load(jumps + at);
        u = was ? u : u + more;
        V::store(jumps + at, Value{});
      }
      if (touched) {
        const Value more = V::load(arriving + at);
        Value &to = current ? g : u;
        to = cautious && held ? (was ? to : to + more) : to + more;
        V::store(arriving + at, Value{});
      }
      Value next = u, decayed = g;
      Mask spikes = advance<synapse, uniform>(c, at, next, decayed);
      if (cautious) {
        next = is ? u : next;
        if (held) decayed = is ? g : decayed;
        spikes &= ~is;
      }
      if (current) V::store(gs + at, decayed);
      V::store(us + at, next);
      above |= spikes;
    }
    return V::any(above);
  }

  // Whether nothing reached a group in the step before, and no neuron of it is refractory.
  bool is_quiet(int64_t group, int64_t n, int64_t row) const {
    const int64_t at = row * w.groups + group;
    return !w.touched[at] && !w.jumped[at] && w.busy[group] <= n - 1;
  }

  // Steps of a quiet group, up to `end` or until a neuron is above its threshold. Returns whether
  // one is; n is then its step, and else the first step that is not done.
  template <Synapse synapse, bool uniform>
  INLINE bool integrate_quiet(const Constants<uniform> &c, int64_t group, int64_t &n, int64_t end,
                              int64_t &row) const {
    Real *const us = w.u.get() + group * kGroup, *const gs = w.g.get() + group * kGroup;
    Value u[kVectors], g[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      u[v] = V::load(us + v * lanes);
      if (synapse != Synapse::voltage) g[v] = V::load(gs + v * lanes);
    }
    bool spikes = false;
    while (true) {
      Mask above{};
      for (int v = 0; v < kVectors; ++v)
        above |= advance<synapse, uniform>(c, group * kGroup + v * lanes, u[v], g[v]);
      spikes = V::any(above);
      if (spikes) break;
      ++n;
      row = row + 1 < w.rows ? row + 1 : 0;
      if (n == end || !is_quiet(group, n, row)) break;
    }
    for (int v = 0; v < kVectors; ++v) {
      V::store(us + v * lanes, u[v]);
      if (synapse != Synapse::voltage) V::store(gs + v * lanes, g[v]);
    }
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

  template <Synapse synapse, bool uniform>
  void integrate_all(int64_t first, int64_t end) const {
    const Constants<uniform> c(*this);
    for (int64_t group = 0; group < w.groups; ++group) {
      int64_t row = w.row_before(first);
      for (int64_t n = first; n < end;) {
        bool above;
        if (is_quiet(group, n, row)) {
          above = integrate_quiet<synapse, uniform>(c, group, n, end, row);
          if (!above) continue;
        } else {
          Real *const arriving = w.arriving.get() + row * w.padded;
          Real *const jumps = w.jumps.get() + row * w.padded;
          uint8_t &touched = w.touched[row * w.groups + group];
          uint8_t &jumped = w.jumped[row * w.groups + group];
          if (jumped)
            above = integrate<synapse, uniform, true, true, true>(c, group, n, arriving, jumps);
          else if (w.busy[group] > n - 1)
            above = integrate<synapse, uniform, true, false, true>(c, group, n, arriving, jumps);
          else
            above = integrate<synapse, uniform, true, false, false>(c, group, n, arriving, jumps);
          touched = jumped = 0;
        }
        if (above) spike(group, n, w.now[n - first]);
        ++n;
        row = row + 1 < w.rows ? row + 1 : 0;
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
